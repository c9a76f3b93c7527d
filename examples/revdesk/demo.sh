#!/bin/sh
#
# Load the example application into the database of libpq's variables (PGHOST, PGDATABASE, PGUSER: a
# superuser), protect it, and show what the keys see.  Progress goes to the terminal; where postgrest and
# nginx are installed, the API is served afterwards.
#
# REVDESK_DEMO_FOLDER is a folder for the keys and for what the servers write.
# REVDESK_DEMO_STOP, if set, is the command that stops it all, to be told at the end.

set -eu

here=$(cd "$(dirname "$0")" && pwd)
folder=${REVDESK_DEMO_FOLDER:?a folder for the keys}

load() {
  printf '== %s\n' "$2"
  psql -X -q -f "$here/$1"
}

load schema.sql 'making the tables of the example application'
load data.sql 'generating 3 organizations, 15 sub-entities, 12 users and 240,000 calls'
load protect.sql 'protecting the tables'

REVDESK_DEMO_KEYS=$folder/keys
export REVDESK_DEMO_KEYS
"$here/tour.sh"

"$here/../postgrest/serve.sh" "$folder"

cat <<END

The database is still there. To look at it yourself:
  psql -h $PGHOST -p $PGPORT -U $PGUSER $PGDATABASE
The keys of this tour, which expire in a day:
  $REVDESK_DEMO_KEYS
END
[ -z "${REVDESK_DEMO_STOP:-}" ] || printf 'To stop it and remove all of it:\n  %s\n' "$REVDESK_DEMO_STOP"
