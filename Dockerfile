# One image for both processes: `schedule-service api` and `schedule-service worker`.
FROM python:3.12-slim AS build
WORKDIR /src
COPY requirements.lock pyproject.toml README.md LICENSE ./
RUN python -m venv /opt/schedule-service \
    && /opt/schedule-service/bin/pip install --no-cache-dir --require-hashes -r requirements.lock
COPY app app
COPY migrations migrations
RUN /opt/schedule-service/bin/pip install --no-cache-dir --no-deps --no-build-isolation . \
    && /opt/schedule-service/bin/python -m compileall -q /opt/schedule-service

FROM python:3.12-slim
RUN useradd --system --uid 10001 --no-create-home schedule-service
COPY --from=build /opt/schedule-service /opt/schedule-service
COPY deploy/openssl.cnf /opt/schedule-service/openssl.cnf
ENV PATH=/opt/schedule-service/bin:$PATH PYTHONUNBUFFERED=1 OPENSSL_CONF=/opt/schedule-service/openssl.cnf
USER 10001
EXPOSE 8000
ENTRYPOINT ["schedule-service"]
CMD ["api", "--host", "0.0.0.0", "--port", "8000"]
