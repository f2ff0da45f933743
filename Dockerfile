# One image for every Ray node and for the submitter: the wheel of this checkout with what it needs.
# All nodes must run the same Python, Ray and longlag; one image makes that so.

FROM python:3.11.15-slim-bookworm AS build
ARG PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
COPY . .
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .
# The dependencies by themselves: their layer below stays as it is while only longlag's code changes.
RUN python -c "import tomllib; print(*tomllib.load(open('pyproject.toml', 'rb'))['project']['dependencies'], sep='\n')" \
        > /wheels/requirements.txt

FROM python:3.11.15-slim-bookworm
ARG PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
COPY --from=build /wheels/requirements.txt /tmp/wheels/
RUN pip install --no-cache-dir --requirement /tmp/wheels/requirements.txt
COPY --from=build /wheels/*.whl /tmp/wheels/
RUN pip install --no-cache-dir --no-deps /tmp/wheels/*.whl && pip check && rm -r /tmp/wheels

# Nothing runs as root. A new, empty volume that is mounted at /data takes this folder's owner.
RUN useradd --uid 10001 --user-group --create-home longlag && install -d -o longlag -g longlag /data
USER longlag
WORKDIR /data

# One BLAS thread a worker: Ray gives each shard one core, and one thread is what makes bits the same everywhere.
ENV OPENBLAS_NUM_THREADS=1 \
    LONGLAG_DATA=/data/store \
    RAY_USAGE_STATS_ENABLED=0 \
    PYTHONUNBUFFERED=1
CMD ["longlag", "--help"]
