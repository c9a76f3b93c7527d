#!/bin/sh
#
# Serve the example's database over HTTP: PostgREST, and nginx in front of it, on 127.0.0.1.
#
#   serve.sh FOLDER    start both, and print curl lines; FOLDER is for what they write
#   serve.sh FOLDER stop
#
# The database is that of libpq's variables (PGHOST, PGPORT, PGDATABASE), to which authenticator must be able
# to connect.  The keys in the curl lines come from FOLDER/keys, which ../revdesk/tour.sh writes.
# REVDESK_HTTP_PORT (8080) and REVDESK_POSTGREST_PORT (3000) are the ports.

set -eu

here=$(cd "$(dirname "$0")" && pwd)
folder=$1
port=${REVDESK_HTTP_PORT:-8080}
postgrest_port=${REVDESK_POSTGREST_PORT:-3000}

# nginx is where administrators have it.
PATH=$PATH:/usr/sbin:/sbin

stop_process() {
  [ ! -f "$folder/$1.pid" ] || kill "$(cat "$folder/$1.pid")" 2>/dev/null || true
  rm -f "$folder/$1.pid"
}

# start NAME COMMAND...: in the background, until stopped.
start() {
  name=$1
  shift
  nohup "$@" >"$folder/$name.log" 2>&1 </dev/null &
  echo $! >"$folder/$name.pid"
}

stop_process nginx
stop_process postgrest
[ "${2:-}" != stop ] || exit 0

if ! command -v postgrest >/dev/null || ! command -v nginx >/dev/null; then
  echo
  echo 'With postgrest and nginx on the PATH the API is served here, too: see examples/postgrest.'
  exit 0
fi

psql -X -q -f "$here/roles.sql"

mkdir -p "$folder/nginx"
sed "s/127\.0\.0\.1:3000/127.0.0.1:$postgrest_port/; s/127\.0\.0\.1:8080/127.0.0.1:$port/" \
  "$here/nginx.conf" >"$folder/nginx/nginx.conf"
start postgrest env \
  PGRST_DB_URI="postgresql:///$PGDATABASE?host=$PGHOST&port=${PGPORT:-5432}&user=authenticator" \
  PGRST_SERVER_PORT="$postgrest_port" postgrest "$here/postgrest.conf"
start nginx nginx -p "$folder/nginx" -e error.log -c "$folder/nginx/nginx.conf"

# REVDESK_ORGANIZATION_KEY and its like.
# shellcheck source=/dev/null
. "$folder/keys"

url=http://127.0.0.1:$port/api/v1
tries=0
until [ "$(curl -s -o "$folder/curl.out" -w '%{http_code}' -H "Authorization: Bearer $REVDESK_ORGANIZATION_KEY" "$url/account")" = 200 ]; do
  tries=$((tries + 1))
  if [ "$tries" -ge 50 ]; then
    echo "The API does not answer; see $folder/postgrest.log and $folder/nginx.log." >&2
    exit 1
  fi
  sleep 0.2
done

cat <<END

The API is served. These work:
  curl $url/account -H "Authorization: Bearer $REVDESK_ORGANIZATION_KEY"
  curl "$url/voice/calls?limit=3" -H "Authorization: Bearer $REVDESK_SUB_ENTITY_KEY"
  curl $url/sub_entities -H "Authorization: Bearer $REVDESK_ORGANIZATION_KEY"
And this is refused:
  curl -i $url/voice/calls -H "Authorization: Bearer revdesk_00000000000000000000000000000000"
END
