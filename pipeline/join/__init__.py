"""The join: a person's facts to exposures per campaign. Pure."""
