"""A bot written with PyWa, as anybody would write one, that talks to the local Meta: started by `pywa.rs`.

It reads what it needs from the environment, serves its webhook on a free port, and prints one JSON object per line for each
thing that happens to it.
"""

import base64
import json
import os
import socket
import threading

import fastapi
import uvicorn
from pywa import WhatsApp, filters, types

# The smallest picture that there is: one pixel.
PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


# Handlers run on threads of their own.
one_line_at_a_time = threading.Lock()


def told(what, **facts):
    with one_line_at_a_time:
        print(json.dumps({"what": what, **facts}), flush=True)


listener = socket.socket()
listener.bind(("127.0.0.1", 0))
app = fastapi.FastAPI()
wa = WhatsApp(
    phone_id=os.environ["PHONE_ID"],
    token=os.environ["TOKEN"],
    waba_id=os.environ["ACCOUNT_ID"],
    server=app,
    webhook_endpoint="/webhook",
    verify_token=os.environ["VERIFY_TOKEN"],
    app_secret=os.environ["APP_SECRET"],
    validate_updates=True,
)
wa.api._session.base_url = os.environ["GRAPH_URL"] + "/v26.0"


@wa.on_message(filters.text)
def answer(_, message):
    told("message", text=message.text, name=message.from_user.name)
    sender = message.from_user.wa_id
    message.mark_as_read()
    wa.send_reaction(to=sender, emoji="👍", message_id=message.id)
    wa.send_message(to=sender, text="Good day", reply_to_message_id=message.id, tracker="a tracker")
    wa.send_message(
        to=sender,
        text="Shall we?",
        buttons=[types.Button(title="Yes", callback_data="yes"), types.Button(title="No", callback_data="no")],
    )
    rows = [types.SectionRow(title=title, callback_data=title.lower()) for title in ["One", "Two"]]
    wa.send_message(
        to=sender,
        text="Which one?",
        buttons=types.SectionList(button_title="Choose", sections=[types.Section(title="All", rows=rows)]),
    )
    texts = [{"type": "text", "text": text} for text in ["Ada", "ORD-001"]]
    wa.send_template(
        to=sender,
        name="order_ready",
        language=types.templates.TemplateLanguage.ENGLISH,
        params=[{"type": "body", "parameters": texts}],
    )
    wa.send_image(to=sender, image=PICTURE, mime_type="image/png", caption="A pixel")
    told("answered")


@wa.on_callback_button()
def pressed(_, button):
    told("button", data=button.data, title=button.title)


@wa.on_callback_selection()
def selected(_, selection):
    told("row", data=selection.data, title=selection.title)


@wa.on_message_status()
def fate(_, status):
    told("status", status=status.status.value, tracker=status.tracker)


def serve():
    config = uvicorn.Config(app, log_level="error")
    uvicorn.Server(config).run(sockets=[listener])


threading.Thread(target=serve, daemon=True).start()
told("ready", port=listener.getsockname()[1])
# Until whoever started this ends.
try:
    input()
except EOFError:
    pass
