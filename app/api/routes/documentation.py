"""The OpenAPI document, and Swagger UI without any address outside."""

from importlib.resources import files
from pathlib import Path

import orjson
from fastapi import APIRouter
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from app.core.errors import NotFoundException

DOCUMENT_PATH = "/openapi.json"
_ASSETS = {
    "swagger-ui-bundle.js": "text/javascript",
    "swagger-ui.css": "text/css",
    "favicon.png": "image/png",
}
# Swagger UI needs a script and styles of its own page; nothing may come from elsewhere.
_POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'"
)

router = APIRouter(include_in_schema=False)


@router.get(DOCUMENT_PATH)
async def get_document(request: Request) -> Response:
    """The OpenAPI document."""
    return Response(orjson.dumps(request.app.openapi()), media_type="application/json")


@router.get("/docs")
async def get_docs(request: Request) -> Response:
    """Swagger UI."""
    page = get_swagger_ui_html(
        openapi_url=DOCUMENT_PATH,
        title=request.app.title,
        swagger_js_url="/docs/swagger-ui-bundle.js",
        swagger_css_url="/docs/swagger-ui.css",
        swagger_favicon_url="/docs/favicon.png",
        swagger_ui_parameters={"tryItOutEnabled": True, "persistAuthorization": True},
    )
    page.headers["Content-Security-Policy"] = _POLICY
    return page


@router.get("/docs/{asset}")
async def get_docs_asset(asset: str) -> Response:
    """A file of Swagger UI, as its package ships it."""
    media_type = _ASSETS.get(asset)
    if media_type is None:
        raise NotFoundException("There is nothing here.")
    path = Path(str(files("fastapi_offline"))) / "static" / asset
    return FileResponse(path, media_type=media_type, headers={"Cache-Control": "public, max-age=86400"})
