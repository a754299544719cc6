"""What the OpenAPI description refers to by name: its schemas, and ways to say who one is."""

from typing import Any

NAMES = {"type": "array", "items": {"type": "string"}}

COMPONENTS: dict[str, Any] = {
    "securitySchemes": {
        "token": {"type": "http", "scheme": "bearer", "description": "Who may: one of `--token`"},
        "cookie": {
            "type": "apiKey",
            "in": "cookie",
            "name": "rtcstream",
            "description": "What signing in gives in a token's place",
        },
        "operator": {
            "type": "http",
            "scheme": "bearer",
            "description": "Whose server it is: `--admin-token`",
        },
        "operatorCookie": {
            "type": "apiKey",
            "in": "cookie",
            "name": "rtcstream_admin",
            "description": "What `admin/sign-in` gives in its place",
        },
    },
    "schemas": {
        "Problem": {
            "description": "RFC 9457: what was wrong, and what to do about it",
            "type": "object",
            "required": ["type", "title", "status", "detail"],
            "properties": {
                "type": {"const": "about:blank"},
                "title": {"type": "string", "minLength": 1},
                "status": {"type": "integer", "minimum": 400, "maximum": 599},
                "detail": {"type": "string", "minLength": 1},
            },
        },
        "QueueEvent": {
            "oneOf": [
                {
                    "type": "object",
                    "required": ["position", "estimate"],
                    "properties": {
                        "position": {"type": "integer", "minimum": 0},
                        "estimate": {"type": ["number", "null"], "description": "Seconds"},
                    },
                },
                {
                    "type": "object",
                    "required": ["ticket"],
                    "properties": {"ticket": {"type": "string"}},
                },
            ]
        },
        "Control": {
            "type": "object",
            "required": ["name", "label", "type", "default"],
            "properties": {
                "name": {"type": "string"},
                "label": {"type": "string"},
                "type": {
                    "enum": ["choice", "integer", "number", "boolean", "string", "point", "file"]
                },
                "minimum": {"type": ["number", "null"]},
                "maximum": {"type": ["number", "null"]},
                "step": {"type": ["number", "null"]},
                "choices": {"type": ["array", "null"]},
            },
        },
        "Stream": {
            "type": "object",
            "required": ["version", "name", "inputs", "outputs", "controls", "iceServers"],
            "properties": {
                "version": {"type": "integer"},
                "name": {"type": "string"},
                "title": {"type": "string"},
                "description": {"type": "string"},
                "inputs": NAMES,
                "outputs": NAMES,
                "controls": {"type": "array", "items": {"$ref": "#/components/schemas/Control"}},
                "limits": {"type": "object"},
                "gallery": {"type": "boolean"},
                "iceServers": {"type": "array", "items": {"type": "object", "required": ["urls"]}},
            },
        },
    },
}
