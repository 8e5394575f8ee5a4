"""The worker: dispatch, join, evaluate. Faust lives in `app` and `streaming` only."""
