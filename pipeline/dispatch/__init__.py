"""The dispatcher: campaign file and audience to assignments, links and requests."""
