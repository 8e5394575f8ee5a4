# One image for every process; `docker-compose.yml` says which one a container runs.
FROM python:3.11-slim

ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1

# A named volume takes over the owner of the folder it is mounted on.
RUN useradd --uid 10001 --create-home smslab \
    && install --directory --owner smslab --group smslab /data

WORKDIR /app
COPY requirements.lock ./
RUN pip install --require-hashes -r requirements.lock

COPY pyproject.toml README.md LICENSE ./
COPY schemas ./schemas
COPY runtime ./runtime
COPY smpp_bridge ./smpp_bridge
COPY campaigns ./campaigns
COPY pipeline ./pipeline
COPY tracking ./tracking
COPY dashboards ./dashboards
COPY simulator ./simulator
COPY smslab ./smslab
RUN pip install --no-deps .

# From here Python finds the installed packages, not the sources.
WORKDIR /data
USER smslab

# No shell between Docker and Python: SIGTERM reaches the process, which stops in order.
CMD ["smslab", "--help"]
