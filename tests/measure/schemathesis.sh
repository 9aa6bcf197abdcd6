#!/bin/sh
# Sends generated requests to every HTTP route of the API document, with an admin token, and fails for a server error, a status that the
# document does not describe, or an answer that breaks its schema.
#
#     tests/measure/schemathesis.sh [EXAMPLES]
#
# EXAMPLES is the number of requests per route in the last phase, 50 by default. KINDLING and SCHEMATHESIS name other programs than
# target/release/kindling and the schemathesis of the path (pip install schemathesis). The seed is fixed, so that a failure can be repeated.
#
# Left out: the WebSockets; the polls, whose bodies are postcard; and revoking tokens, which would end the token of the test.
set -eu
kindling=${KINDLING:-"$(dirname "$0")/../../target/release/kindling"}
schemathesis=${SCHEMATHESIS:-schemathesis}
folder=$(mktemp -d)
mkdir "$folder/hub"
# A hub without models and datasets: a request to the real one would leave this machine.
python3 -u -m http.server 0 --bind 127.0.0.1 --directory "$folder/hub" >"$folder/hub.out" 2>/dev/null &
hub=$!
until grep -q port "$folder/hub.out"; do sleep 0.1; done
hub_port=$(grep -o 'port [0-9]*' "$folder/hub.out" | cut -d ' ' -f 2)
"$kindling" serve --data "$folder/lab" --listen 127.0.0.1:0 --no-workers --hub-url "http://127.0.0.1:$hub_port" \
    >"$folder/out" 2>"$folder/log" &
server=$!
trap 'kill "$server" "$hub" 2>/dev/null || true; wait "$server" "$hub" 2>/dev/null || true; rm -rf "$folder"' EXIT
until grep -q http "$folder/out"; do sleep 0.1; done
address=$(grep -o 'http://127.0.0.1:[0-9]*' "$folder/out" | head -n 1)
token=$("$kindling" token --role admin --name schemathesis --data "$folder/lab" 2>/dev/null)

# One run and one dataset, so that some ids of the answers exist.
yes 'to be or not to be that is the question' | head -n 200 |
    curl -sf -H "Authorization: Bearer $token" --data-binary @- "$address/api/v1/corpora?name=play" >/dev/null
curl -sf -H "Authorization: Bearer $token" -H 'Content-Type: application/json' \
    -d '{"preset":"tiny","corpus":"play","steps":10,"device":"gpu"}' "$address/api/v1/runs" >/dev/null

status=0
"$schemathesis" run "$address/api/v1/openapi.json" --header "Authorization: Bearer $token" --seed 1 --workers 1 \
    --checks not_a_server_error,status_code_conformance,content_type_conformance,response_headers_conformance,response_schema_conformance \
    --phases examples,coverage,fuzzing --max-examples "${1:-50}" --request-timeout 60 --no-color --continue-on-failure \
    --exclude-operation-id open_live --exclude-operation-id open_link --exclude-operation-id poll_live --exclude-operation-id revoke_token ||
    status=$?
grep -E 'ERROR|panicked' "$folder/log" | head -n 20 || true
exit "$status"
