"""The pure domain: campaign files, assignment, templates, cost."""
