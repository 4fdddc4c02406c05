FROM python:3.13-slim AS build
RUN pip install --no-cache-dir uv
WORKDIR /app
COPY pyproject.toml uv.lock README.md ./
COPY services services
COPY templates templates
COPY examples examples
RUN UV_PROJECT_ENVIRONMENT=/app/.venv uv sync --locked --no-dev --no-editable

FROM python:3.13-slim
RUN useradd --system --uid 10001 omroeper
COPY --from=build /app/.venv /app/.venv
USER omroeper
ENV PATH=/app/.venv/bin:$PATH PYTHONUNBUFFERED=1
EXPOSE 8080
ENTRYPOINT ["omroeper"]
