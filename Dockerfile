# docker build -t unroll .
# docker run -p 8500:8500 -p 8501:8501 -v $PWD/workspace:/workspace unroll          # serves /workspace/store
# docker run -v $PWD:/data -v $PWD/workspace:/workspace unroll train sentiment --data /data/reviews.csv
FROM python:3.11-slim

RUN useradd --create-home --uid 1000 unroll && mkdir /workspace && chown unroll /workspace
WORKDIR /opt/unroll
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY unroll unroll
COPY models models
COPY pipelines pipelines
COPY serving serving
COPY monitoring monitoring
RUN pip install --no-cache-dir -c constraints.txt .

USER unroll
ENV UNROLL_HOME=/workspace
VOLUME /workspace
EXPOSE 8500 8501
# exec form: SIGTERM reaches the server, which drains
ENTRYPOINT ["unroll"]
CMD ["serve", "--host", "0.0.0.0"]
