"""The OAuth client of the official Python SDK of the Model Context Protocol against a lab that it knows only by the address of /mcp.

    python -m venv VENV && VENV/bin/pip install "mcp>=2"
    KINDLING=target/release/kindling VENV/bin/python tests/measure/oauth.py

It starts a lab in a temporary folder and signs a browser in, which is a few requests here. The SDK finds the metadata of the lab, registers, and opens
the address of the authorization; the browser approves on the consent page. The SDK then calls a tool, refreshes its token and calls it again. After a
revocation the lab refuses both tokens, and after a refusal on the consent page the SDK gets none.
"""

import asyncio
import html
import json
import os
import re
import subprocess
import tempfile
import urllib.error
import urllib.parse
import urllib.request

REDIRECT = "http://localhost:3030/callback"


class Storage:
    """What the SDK keeps of a server."""

    def __init__(self):
        self.tokens = self.client = None

    async def get_tokens(self):
        return self.tokens

    async def set_tokens(self, tokens):
        self.tokens = tokens

    async def get_client_info(self):
        return self.client

    async def set_client_info(self, client):
        self.client = client


class NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


class Browser:
    """A browser that is signed in to the lab, and the person before it."""

    def __init__(self, url, link):
        self.url, self.decision, self.answer = url, "approve", None
        self.cookie = self.send("POST", link)[1]["set-cookie"].split(";")[0]

    def send(self, method, address, form=None, **headers):
        data = urllib.parse.urlencode(form or {}).encode() if method == "POST" else None
        request = urllib.request.Request(address, data, headers, method=method)
        try:
            answer = urllib.request.build_opener(NoRedirect).open(request, timeout=60)
        except urllib.error.HTTPError as error:
            answer = error
        return answer.status, answer.headers, answer.read().decode()

    def led_to(self, address, page):
        found = re.search(r'content="0;url=([^"]*)"', page)
        assert found, page
        return urllib.parse.urljoin(address, html.unescape(found[1]))

    def decide(self, address):
        status, _, page = self.send("GET", address)
        assert status == 200, page
        address = self.led_to(address, page)
        assert self.send("GET", address)[0] == 401, "the consent page needs a person who is signed in"
        status, _, page = self.send("GET", address, cookie=self.cookie)
        assert status == 200 and "Python SDK" in page and "localhost:3030" in page, page
        form = {"decision": self.decision, "mode": "read"}
        status, _, page = self.send("POST", address, form, cookie=self.cookie, origin=self.url)
        assert status == 200, page
        back = self.led_to(address, page)
        assert back.startswith(REDIRECT + "?"), back
        self.answer = dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(back).query))


async def connect(url, browser, storage):
    """Calls a tool with a token that the SDK gets by itself."""
    from mcp import Client
    from mcp.client.auth import OAuthClientProvider
    from mcp.client.streamable_http import create_mcp_http_client, streamable_http_client
    from mcp.shared.auth import AuthorizationCodeResult, OAuthClientMetadata

    async def open_address(address):
        browser.decide(address)

    async def wait_for_answer():
        given = browser.answer
        return AuthorizationCodeResult(code=given.get("code", ""), state=given.get("state"), iss=given.get("iss"))

    metadata = OAuthClientMetadata(client_name="Python SDK", redirect_uris=[REDIRECT])
    provider = OAuthClientProvider(url + "/mcp", metadata, storage, open_address, wait_for_answer)
    transport = streamable_http_client(url + "/mcp", http_client=create_mcp_http_client(auth=provider))
    async with Client(transport) as client:
        await call(client)
        first = storage.tokens
        # The SDK refreshes a token that it takes for expired.
        provider.context.token_expiry_time = 1
        await call(client)
        assert storage.tokens.access_token != first.access_token, "the token was refreshed"
        assert storage.tokens.refresh_token != first.refresh_token, "the refresh token changes"
    return first


async def call(client):
    answer = json.loads((await client.call_tool("lab_status", {})).content[0].text)
    assert answer["data"]["you"]["grants"]["lab"] == "view", answer
    print("lab_status: answered")


def status_of(browser, access):
    ping = urllib.request.Request(browser.url + "/mcp", b'{"jsonrpc": "2.0", "id": 1, "method": "ping"}', {
        "authorization": f"Bearer {access}", "content-type": "application/json", "accept": "application/json, text/event-stream"})
    try:
        return urllib.request.urlopen(ping, timeout=60).status
    except urllib.error.HTTPError as error:
        return error.code


def check(url, link):
    browser, storage = Browser(url, link), Storage()
    first = asyncio.run(connect(url, browser, storage))
    access = storage.tokens.access_token
    assert (status_of(browser, first.access_token), status_of(browser, access)) == (401, 200)
    form = {"token": access, "client_id": storage.client.client_id}
    assert browser.send("POST", url + "/oauth/revoke", form)[0] == 200
    assert status_of(browser, access) == 401, "the token was revoked"
    browser.decision, refused = "refuse", Storage()
    try:
        asyncio.run(connect(url, browser, refused))
    except Exception as error:
        print("after a refusal:", type(error).__name__)
    assert refused.tokens is None and browser.answer["error"] == "access_denied", browser.answer
    print("the OAuth client of the Python SDK got, refreshed and lost its access")


def main():
    program = os.environ.get("KINDLING", "kindling")
    with tempfile.TemporaryDirectory() as folder:
        server = subprocess.Popen([program, "serve", "--data", folder, "--listen", "127.0.0.1:0"], stdout=subprocess.PIPE, text=True)
        try:
            url = next(found[0] for line in server.stdout if (found := re.findall(r"http://127\.0\.0\.1:[0-9]+", line)))
            made = subprocess.run([program, "token", "--sign-in", "--data", folder], capture_output=True, text=True, check=True)
            token = re.search(r"token=([0-9a-f]+)", made.stdout)
            check(url, f"{url}/signin?token={token[1] if token else made.stdout.strip()}")
        finally:
            server.terminate()
            server.wait()


if __name__ == "__main__":
    main()
