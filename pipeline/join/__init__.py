"""The join: a person's facts to exposures per campaign. Pure; `engine.JoinEngine` is the way in."""
