# metarl on CPUs: `docker build -t metarl .`, then `docker run --rm -v "$PWD:/work" metarl plot fig2`.
FROM python:3.11-slim
# Where the CPU builds of torch are; without it, torch brings several gigabytes of CUDA libraries.
ARG PIP_EXTRA_INDEX_URL
COPY . /src
RUN pip install --no-cache-dir -c /src/constraints.txt /src && rm -rf /src
WORKDIR /work
ENTRYPOINT ["metarl"]
CMD ["--help"]
