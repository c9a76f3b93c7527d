#!/bin/sh
#
# A tour of the example application: what each key sees, what it is refused, and what becomes of a key.
#
# Needs a database where schema.sql, data.sql and protect.sql have run, and finds it by libpq's variables
# (PGHOST, PGPORT, PGDATABASE, PGUSER). PGUSER must be a superuser: it makes the keys, and it counts
# without row security what the keys ought to see.
#
# REVDESK_DEMO_KEYS, if set, is a file to write the keys to, as shell assignments.
#
# What is printed comes from queries that were run. The exit status is 1 if something got through that must
# be refused, or if a key saw more or fewer rows than it should.

set -eu

# The cast, by the ids of data.sql.
dental=d0000000-0000-4000-8000-000000000000    # Brightwater Dental Group, an umbrella
riverside=d0000000-0000-4000-8000-000000000001 # its location Riverside
oakmont=d0000000-0000-4000-8000-000000000002   # its location Oakmont
cars=ca000000-0000-4000-8000-000000000000      # Halden Motor Group, an umbrella
north=ca000000-0000-4000-8000-000000000001     # its location Halden North
hotels=40000000-0000-4000-8000-000000000000    # Larkspur Hotels, an umbrella
oldtown=40000000-0000-4000-8000-000000000001   # its location Old Town
theo=00000000-0000-4000-8000-000000000005      # Theo, member of Riverside and of Halden North
robin=00000000-0000-4000-8000-000000000012     # Robin, member of nothing

bold='' dim='' green='' red='' plain=''
if [ -t 1 ] && [ -z "${NO_COLOR:-}" ] && [ "${TERM:-dumb}" != dumb ]; then
  escape=$(printf '\033')
  bold="${escape}[1m" dim="${escape}[2m" green="${escape}[32m" red="${escape}[31m" plain="${escape}[0m"
fi

failures=0

heading() {
  printf '\n%s%s%s\n\n' "$bold" "$1" "$plain"
}

text() {
  printf '%s\n' "$*" | fold -s -w 96 | sed 's/^/  /; s/ *$//'
}

# Print how one check came out: good or bad, a word, what was tried, and at the right, or on lines of its own,
# what came of it.
result() {
  if [ "$1" = good ]; then
    result_colour=$green
  else
    result_colour=$red
    failures=$((failures + 1))
  fi
  printf '  %s%-8s%s  %-66s %s\n' "$result_colour" "$2" "$plain" "$3" "$4"
  [ -z "${5:-}" ] || printf '%s\n' "$5" | fold -s -w 86 | sed "s/ *\$//; s/^/            $dim/; s/\$/$plain/"
}

# Is it a number greater than 0?
positive() {
  case $1 in
    '' | *[!0-9]*) return 1 ;;
  esac
  [ "$1" -gt 0 ]
}

#
# Asking PostgreSQL
#

# Run psql on SQL from standard input, stopping at the first error. Columns come out separated by a space.
sql() {
  psql -X -q -A -t -F ' ' -v ON_ERROR_STOP=1 "$@"
}

# The beginning of a request as the HTTP layer makes it: log in as authenticator, begin, switch to the API
# role, authenticate. With an empty key the request has none. SET SESSION AUTHORIZATION stands in for the
# login, so that the tour needs no password; before it, in the same transaction, the superuser may change
# something ($2).
#
# The key reaches psql by the environment, not by its arguments, which every user of the machine can read.
request() {
  printf 'BEGIN;\n\\o /dev/null\n%s;\n' "${2:-}"
  echo 'SET LOCAL SESSION AUTHORIZATION authenticator;'
  echo 'SET LOCAL ROLE api_user;'
  if [ -n "$1" ]; then
    echo '\getenv key REVDESK_KEY'
    echo "SELECT revdesk_authenticate(:'key');"
  fi
  echo '\o'
}

# Run SQL from standard input with a key, or without one if it is empty.
with_key() {
  {
    request "$1"
    cat
    echo 'COMMIT;'
  } | REVDESK_KEY=$1 sql
}

# Try a statement with a key, after a change by the superuser if there is a third argument, and undo it all.
# Sets $state to the SQLSTATE, $rows to how many rows it returned or changed, and $message.
attempt() {
  answer=$({
    request "$1" "${3:-}"
    printf '\\o /dev/null\n%s;\n' "$2"
    printf '%s\n' '\echo :SQLSTATE :ROW_COUNT :LAST_ERROR_MESSAGE' 'ROLLBACK;'
  } | REVDESK_KEY=$1 psql -X -q 2>/dev/null) || :
  state=${answer%% *}
  answer=${answer#* }
  rows=${answer%% *}
  message=${answer#* }
}

# How many rows the statement reaches without row security; undone.
reach() {
  sql <<SQL
BEGIN;
\\o /dev/null
$1;
\\echo :ROW_COUNT
ROLLBACK;
SQL
}

# The statement must fail with one of the SQLSTATEs: key, SQLSTATEs, what it is, SQL, change before it.
must_fail() {
  attempt "$1" "$4" "${5:-}"
  case " $2 " in
    *" $state "*) result good refused "$3" "$state" "$message" ;;
    *) result bad WRONG "$3" "$state" "expected $2; ${message:-no error}" ;;
  esac
}

# The statement must reach no row, although the superuser's reaches some: key, what it is, SQL, change before it,
# and what the caller runs first, which may fail.
must_miss() {
  there=$(reach "$3")
  attempt "$1" "\\set ON_ERROR_ROLLBACK on
    ${5:-};
    \\set ON_ERROR_ROLLBACK off
    $3" "${4:-}"
  if [ "$state" = 00000 ] && [ "$rows" = 0 ] && positive "$there"; then
    result good 'no rows' "$2" "0 of $there"
  else
    result bad WRONG "$2" "$rows of $there" "$state $message"
  fi
}

# The statement must do its work on exactly one row: key, what it is, SQL.
must_work() {
  attempt "$1" "$3"
  if [ "$state" = 00000 ] && [ "$rows" = 1 ]; then
    result good allowed "$2" "$rows row"
  else
    result bad WRONG "$2" "$state" "$rows rows; $message"
  fi
}

# What came out must be what was to come: what it is, value, expected value, what to print after the value.
must_be() {
  if [ -n "$2" ] && [ "$2" = "$3" ]; then
    result good 'as said' "$1" "$2 $4"
  else
    result bad WRONG "$1" "$2 $4" "expected $3"
  fi
}

#
# The keys
#

# Make a key and print its id and its text: name, scope, tenant, user, access. It ends after a day, since
# nobody should find a forgotten demo key that still works.
create_key() {
  sql -v name="$1" -v scope="$2" -v tenant="$3" -v person="$4" -v access="$5" <<'SQL'
SELECT key_id, token
FROM revdesk_create_key(
  name => :'name',
  scope => :'scope',
  tenant_id => nullif(:'tenant', '')::uuid,
  user_id => nullif(:'person', '')::uuid,
  access => :'access',
  expires_at => now() + interval '1 day'
);
SQL
}

printf '%srevdesk_auth: the same queries, asked with different keys%s\n\n' "$bold" "$plain"
text 'An example telephone service with 3 umbrella organizations (dentists, car dealers, hotels), the' \
  'locations of each as its sub-entities, and the people who work there.'

# A space stands between the id and the key, so "##* " leaves the key.
org_key=$(create_key 'Headquarters' organization "$dental" '' admin)
org_key=${org_key##* }
sub_key=$(create_key 'Riverside' sub_entity "$riverside" '' write)
sub_key=${sub_key##* }
user_key=$(create_key 'Theo' user '' "$theo" write)
user_key=${user_key##* }
read_key=$(create_key 'Reporting' organization "$hotels" '' read)
read_key=${read_key##* }

heading '1. Four keys'
describe() {
  printf '  %-12s%-13s%-8s%-25s%s\n' "$@"
}
describe whose scope access 'acts for' key
describe Brightwater organization admin 'an umbrella, all of it' "$org_key"
describe Riverside sub_entity write 'one location of it' "$sub_key"
describe Theo user write 'a member of 2 locations' "$user_key"
describe Larkspur organization read 'another umbrella' "$read_key"
echo
text 'You see these keys only because this is a demo. A key is shown once, to whom it is made for; the' \
  'database keeps its SHA-256.'

if [ -n "${REVDESK_DEMO_KEYS:-}" ]; then
  # The file is made anew, so that it is nobody else's and readable for its owner only.
  rm -f -- "$REVDESK_DEMO_KEYS"
  (
    umask 077
    set -C
    cat >"$REVDESK_DEMO_KEYS" <<KEYS
REVDESK_ORGANIZATION_KEY=$org_key
REVDESK_SUB_ENTITY_KEY=$sub_key
REVDESK_USER_KEY=$user_key
REVDESK_READ_KEY=$read_key
KEYS
  )
fi

#
# What each key sees
#

# Counts of the tables, each in a line, in the order of expected_counts.
count_tables() {
  for table in phone_numbers calls contacts caller_trust_registrations personal_notes; do
    echo "SELECT to_char(count(*), 'FM999,999,990') FROM api.$table;"
  done
}

# The same by conditions written by hand, without row security and without asking the extension who belongs to
# whom: the ids of data.sql begin with their umbrella's digits.
expected_counts() {
  sql -v dental="$dental" -v riverside="$riverside" -v north="$north" -v theo="$theo" <<'SQL'
WITH entry (number, name, tenant_id, owner_id) AS (
  SELECT 1, 'phone_numbers', tenant_id, owner_id FROM api.phone_numbers
  UNION ALL
  SELECT 2, 'calls', tenant_id, owner_id FROM api.calls
  UNION ALL
  SELECT 3, 'contacts', tenant_id, owner_id FROM api.contacts
  UNION ALL
  SELECT 4, 'caller_trust_registrations', tenant_id, NULL FROM api.caller_trust_registrations
  UNION ALL
  SELECT 5, 'personal_notes', NULL, owner_id FROM api.personal_notes
), counted AS (
  SELECT number, name,
    count(*) AS all_rows,
    count(*) FILTER (WHERE false) AS no_key,
    count(*) FILTER (WHERE tenant_id::text LIKE 'd0000000-%') AS brightwater,
    count(*) FILTER (
      WHERE tenant_id = :'riverside'
      OR (name = 'caller_trust_registrations' AND tenant_id = :'dental')
    ) AS riverside,
    count(*) FILTER (
      WHERE tenant_id IN (:'riverside', :'north')
      OR (tenant_id IS NULL AND owner_id = :'theo')
    ) AS theo,
    count(*) FILTER (WHERE tenant_id::text LIKE '40000000-%') AS larkspur
  FROM entry
  GROUP BY number, name
)
SELECT name,
  to_char(all_rows, 'FM999,999,990'),
  to_char(no_key, 'FM999,999,990'),
  to_char(brightwater, 'FM999,999,990'),
  to_char(riverside, 'FM999,999,990'),
  to_char(theo, 'FM999,999,990'),
  to_char(larkspur, 'FM999,999,990')
FROM counted
ORDER BY number;
SQL
}

heading '2. SELECT count(*) FROM each table, with each key'

# Each line of awk's input is "want" and a row of the table as it should be, or "see", the number of a column
# and what one key saw, down that column.
if {
  expected_counts | sed 's/^/want /'
  column=3
  for key in '' "$org_key" "$sub_key" "$user_key" "$read_key"; do
    # No quotes: the counts become words of one line.
    # shellcheck disable=SC2046
    echo see "$column" $(count_tables | with_key "$key")
    column=$((column + 1))
  done
} | awk -v bold="$bold" -v red="$red" -v plain="$plain" '
  function line(colour, a, b, c, d, e, f, g) {
    printf "  %s%-27s%10s%9s%14s%13s%10s%15s%s\n", colour, a, b, c, d, e, f, g, plain
  }
  $1 == "want" {
    rows++
    for (i = 2; i <= NF; i++)
      want[rows, i - 1] = $i
  }
  $1 == "see" {
    for (i = 3; i <= NF; i++)
      seen[i - 2, $2] = $i
  }
  END {
    split("no key,Brightwater,Riverside,Theo,Larkspur", whose, ",")
    line(bold, "", "all there", whose[1], whose[2], whose[3], whose[4], whose[5])
    line(plain, "", "are", "", "organization", "sub_entity", "user", "organization")
    for (r = 1; r <= rows; r++) {
      colour = ""
      for (c = 3; c <= 7; c++)
        if (seen[r, c] "" != want[r, c] "") {
          wrong[r, c]
          colour = red
          bad = 1
        }
      line(colour, want[r, 1], want[r, 2], seen[r, 3], seen[r, 4], seen[r, 5], seen[r, 6], seen[r, 7])
    }
    for (r = 1; r <= rows; r++)
      for (c = 3; c <= 7; c++)
        if ((r, c) in wrong)
          printf "  %sWRONG%s     %s, %s: %s rows, expected %s\n", \
            red, plain, want[r, 1], whose[c - 2], seen[r, c], want[r, c]
    if (rows != 5)
      printf "  %sWRONG%s     could not count\n", red, plain
    exit (bad || rows != 5)
  }
'; then
  echo
  text 'Each number is the same as that of a superuser, who has no row security, by conditions written by' \
    'hand. Personal rows are for the user key alone. Riverside also reads what its umbrella registered.'
else
  failures=$((failures + 1))
fi

#
# What each key is refused
#

# The call that the attempts go for, of a tenant.
one_call() {
  sql -v tenant="$1" <<'SQL'
SELECT id FROM api.calls WHERE tenant_id = :'tenant' ORDER BY id LIMIT 1;
SQL
}
own_call=$(one_call "$riverside")
sibling_call=$(one_call "$oakmont")
umbrella_call=$(one_call "$dental")

# INSERT of a call for a tenant ($1) or for a person ($2).
new_call() {
  printf '%s\n' "INSERT INTO api.calls (tenant_id, owner_id, direction, caller, callee, status)
    VALUES (nullif('$1', '')::uuid, nullif('$2', '')::uuid, 'outbound', '+12535550100', '+12535550199', 'completed')"
}

# A new key: scope, tenant, for how long.
new_key() {
  printf '%s\n' "SELECT key_id, token
    FROM revdesk_create_key('Vendor', '$1', tenant_id => '$2', expires_at => now() + interval '$3')"
}

heading '3. Reading across'
must_miss "$sub_key" "Riverside reads its sibling's calls" \
  "SELECT * FROM api.calls WHERE tenant_id = '$oakmont'"
must_miss "$sub_key" "Riverside reads its umbrella's own calls" \
  "SELECT * FROM api.calls WHERE tenant_id = '$dental'"
must_miss "$sub_key" "Riverside reads another umbrella's contacts" \
  "SELECT * FROM api.contacts WHERE umbrella_id = '$cars'"
must_miss "$sub_key" "Riverside locks a sibling's call, whose id it knows" \
  "SELECT * FROM api.calls WHERE id = '$sibling_call' FOR UPDATE"
must_miss "$sub_key" "Riverside reads its siblings' caller-trust registrations" \
  "SELECT * FROM api.caller_trust_registrations
    WHERE umbrella_id = '$dental' AND tenant_id NOT IN ('$dental', '$riverside')"
must_miss "$org_key" "Brightwater reads another umbrella's calls" \
  "SELECT * FROM api.calls WHERE umbrella_id = '$hotels'"
must_miss "$org_key" "Brightwater reads a member's personal calls" \
  "SELECT * FROM api.calls WHERE owner_id = '$theo' AND tenant_id IS NULL"
must_miss "$user_key" 'Theo reads the calls of a location that he is no member of' \
  "SELECT * FROM api.calls WHERE tenant_id = '$oakmont'"
must_miss "$user_key" "Theo reads Robin's notes" \
  "SELECT * FROM api.personal_notes WHERE owner_id = '$robin'"
must_miss '' 'Someone without a key reads calls' \
  'SELECT * FROM api.calls LIMIT 100'
must_fail "$sub_key" 42501 'Riverside reads the table of keys' \
  'SELECT * FROM revdesk.api_keys'

heading '4. Writing across'
must_fail "$sub_key" 42501 'Riverside adds a call to its sibling' "$(new_call "$oakmont" '')"
must_fail "$sub_key" 42501 'Riverside adds a call to its umbrella' "$(new_call "$dental" '')"
must_fail "$sub_key" 42501 'Riverside adds a call to another umbrella' "$(new_call "$cars" '')"
must_fail "$sub_key" 42501 "Riverside adds a personal call in Robin's name" "$(new_call '' "$robin")"
must_fail "$sub_key" 42501 'Riverside moves a call of its own to its sibling' \
  "UPDATE api.calls SET tenant_id = '$oakmont' WHERE id = '$own_call'"
must_miss "$sub_key" "Riverside changes its sibling's call" \
  "UPDATE api.calls SET status = 'failed' WHERE id = '$sibling_call'"
must_miss "$sub_key" "Riverside deletes its umbrella's call" \
  "DELETE FROM api.calls WHERE id = '$umbrella_call'"
must_fail "$org_key" 42501 'Brightwater adds a call to another umbrella' "$(new_call "$oldtown" '')"
must_fail "$org_key" 42501 'Brightwater makes a key for another umbrella' \
  "$(new_key organization "$cars" '1 hour')"
must_fail "$org_key" 42501 'Brightwater makes a key that lives longer than its own' \
  "$(new_key sub_entity "$oakmont" '1 year')"
must_fail "$sub_key" 42501 'Riverside, without access admin, makes a key for itself' \
  "$(new_key sub_entity "$riverside" '1 hour')"
must_fail "$user_key" 42501 'Theo adds a call to a location that he is no member of' \
  "$(new_call "$oakmont" "$theo")"
must_fail '' 42501 'Someone without a key adds a call' "$(new_call "$riverside" '')"

heading '5. A key that may only read'
must_fail "$read_key" 25006 'Larkspur adds a call of its own' "$(new_call "$oldtown" '')"
must_fail "$read_key" 25006 'Larkspur deletes its own calls' \
  "DELETE FROM api.calls WHERE tenant_id = '$oldtown'"
must_fail "$read_key" 25001 'Larkspur makes its transaction READ WRITE' 'SET TRANSACTION READ WRITE'

heading '6. Forging'
must_fail "$sub_key" '42501 55P02' 'Riverside says by SET that it is its sibling' \
  "SET LOCAL revdesk.tenant_id = '$oakmont'"
must_fail "$sub_key" '42501 55P02' 'Riverside says by set_config() that it is an organization' \
  "SELECT set_config('revdesk.scope', 'organization', true)"
# Where nothing has loaded the extension's library into the session yet, PostgreSQL takes the setting as an
# unknown one, and drops it when row security loads the library.
must_miss '' 'Someone without a key says to be Riverside and reads its calls' \
  "SELECT * FROM api.calls WHERE tenant_id = '$riverside'" \
  '' "SET revdesk.tenant_id = '$riverside'"
must_fail "$sub_key" 42501 'Riverside switches row security off' \
  'SET LOCAL row_security = off; SELECT * FROM api.calls'
must_fail "$sub_key" 25001 'Riverside goes on with another key in the same transaction' \
  "SELECT revdesk_authenticate('$org_key')"
must_fail '' 28000 'A key that nobody made' \
  "SELECT revdesk_authenticate('revdesk_00000000000000000000000000000000')"
must_fail '' 28000 'A text that is no key' "SELECT revdesk_authenticate('letmein')"

heading '7. What is allowed, and undone here'
must_work "$sub_key" 'Riverside adds a call of its own' "$(new_call "$riverside" '')"
must_work "$sub_key" 'Riverside names a wrong umbrella: the right one is stored' \
  "WITH stored AS (
    INSERT INTO api.calls (tenant_id, umbrella_id, direction, caller, callee, status)
    VALUES ('$riverside', '$cars', 'outbound', '+12535550100', '+12535550199', 'completed')
    RETURNING umbrella_id
  )
  SELECT * FROM stored WHERE umbrella_id = '$dental'"
must_work "$sub_key" 'Riverside adds a contact without saying whose it is' \
  "INSERT INTO api.contacts (first_name, last_name) VALUES ('Ada', 'Adams')"
must_work "$org_key" 'Brightwater moves a call from Riverside to Oakmont' \
  "UPDATE api.calls SET tenant_id = '$oakmont' WHERE id = '$own_call'"
must_work "$org_key" 'Brightwater makes a key for Oakmont' \
  "$(new_key sub_entity "$oakmont" '1 hour')"
must_work "$user_key" 'Theo writes a note' \
  "INSERT INTO api.personal_notes (title) VALUES ('Tax day')"
must_work "$user_key" 'Theo adds a call at Halden North' "$(new_call "$north" "$theo")"

#
# The walk-up
#

heading "8. Walking up: whose registration counts for Riverside's numbers"
text "A sub-entity's key also reads its umbrella's registrations, and the view api.caller_trust takes the" \
  "location's own first. Riverside asks for some of its numbers:"
echo
with_key "$sub_key" <<'SQL' | sed '/^$/d; s/^/  /; s/ *$//'
\pset tuples_only off
\pset format aligned
\pset footer off
SELECT number, brand, business_name AS "called phone shows", attestation AS level, registered_by AS registration
FROM api.caller_trust
WHERE right(number, 2) IN ('00', '01', '02', '08')
ORDER BY number;
SQL
echo
# By hand: a number counts as the location's or its umbrella's by who registered its brand.
registered=$(sql -v riverside="$riverside" -v dental="$dental" <<'SQL'
SELECT
  count(*) FILTER (WHERE by_location),
  count(*) FILTER (WHERE by_umbrella AND NOT by_location)
FROM api.phone_numbers AS n,
LATERAL (
  SELECT
    EXISTS (
      SELECT FROM api.caller_trust_registrations AS r
      WHERE r.tenant_id = :'riverside' AND r.brand = n.brand AND coalesce(r.number, n.number) = n.number
        AND r.status = 'verified'
    ),
    EXISTS (
      SELECT FROM api.caller_trust_registrations AS r
      WHERE r.tenant_id = :'dental' AND r.brand = n.brand AND coalesce(r.number, n.number) = n.number
        AND r.status = 'verified'
    )
) AS r (by_location, by_umbrella)
WHERE n.tenant_id = :'riverside';
SQL
)
must_be 'Numbers by a registration of its own' \
  "$(echo "SELECT count(*) FROM api.caller_trust WHERE registered_by = 'own';" | with_key "$sub_key")" \
  "${registered% *}" numbers
must_be "Numbers by its umbrella's registration" \
  "$(echo "SELECT count(*) FROM api.caller_trust WHERE registered_by = 'umbrella';" | with_key "$sub_key")" \
  "${registered#* }" numbers
must_miss "$sub_key" "Riverside changes its umbrella's registrations" \
  "UPDATE api.caller_trust_registrations SET business_name = 'Mine' WHERE tenant_id = '$dental'"
must_miss "$sub_key" "Riverside deletes its umbrella's registrations" \
  "DELETE FROM api.caller_trust_registrations WHERE tenant_id = '$dental'"
must_fail "$sub_key" 42501 'Riverside registers in the name of its umbrella' \
  "INSERT INTO api.caller_trust_registrations (tenant_id, business_name, brand, attestation)
    VALUES ('$dental', 'Mine', 'Mine', 'A')"
must_work "$sub_key" 'Riverside changes a registration of its own' \
  "UPDATE api.caller_trust_registrations SET attestation = 'B'
    WHERE tenant_id = '$riverside' AND number IS NULL"

#
# The life of a key
#

count_calls() {
  echo 'SELECT count(*) FROM api.calls;' | with_key "$1"
}

count_calls_of() {
  sql -v tenant="$1" <<'SQL'
SELECT count(*) FROM api.calls WHERE tenant_id = :'tenant';
SQL
}

heading '9. The life of a key'
# "vendor" is the key's id, a space and the key. The organization's own key makes it.
vendor=$(echo "$(new_key sub_entity "$oakmont" '1 hour');" | with_key "$org_key")
oakmont_calls=$(count_calls_of "$oakmont")
must_be 'Brightwater makes a key for a vendor at Oakmont, who sees' \
  "$(count_calls "${vendor#* }")" "$oakmont_calls" calls

# Rotate the vendor's key: grace.
rotate() {
  sql -v id="${vendor%% *}" -v grace="$1" <<'SQL'
SELECT made.key_id, made.token FROM revdesk_rotate_key(:'id', :'grace') AS made (key_id, token);
SQL
}
old=$vendor
vendor=$(rotate 0)
must_be 'The key is rotated; the new one sees the same' \
  "$(count_calls "${vendor#* }")" "$oakmont_calls" calls
must_fail '' 28000 'The old one has ended' "SELECT revdesk_authenticate('${old#* }')"

old=$vendor
vendor=$(rotate '1 hour')
must_be 'Rotated with an hour of grace: the new one sees' \
  "$(count_calls "${vendor#* }")" "$oakmont_calls" calls
must_be 'and, until the vendor has changed over, the old one' \
  "$(count_calls "${old#* }")" "$oakmont_calls" calls

# Both are revoked: a key in its grace goes on until that ends, whatever becomes of its successor.
revoke() {
  sql -o /dev/null -v id="${1%% *}" <<'SQL'
SELECT revdesk_revoke_key(:'id', 'the contract ended');
SQL
}
revoke "$vendor"
must_be 'The new one is revoked; the old one, in its grace, still sees' \
  "$(count_calls "${old#* }")" "$oakmont_calls" calls
revoke "$old"
must_fail '' 28000 "The vendor's contract ends, both are revoked: the new one" \
  "SELECT revdesk_authenticate('${vendor#* }')"
must_fail '' 28000 'and the old one' "SELECT revdesk_authenticate('${old#* }')"
must_be 'Other keys do not notice: Riverside sees' \
  "$(count_calls "$sub_key")" "$(count_calls_of "$riverside")" calls

# The superuser's changes that follow are undone with the attempt, so that the demo stays as it was.
must_miss "$user_key" "Theo leaves Halden North, and at once reads its calls no longer" \
  "SELECT * FROM api.calls WHERE tenant_id = '$north'" \
  "SELECT revdesk_remove_member('$north', '$theo')"
must_fail '' 28000 "Larkspur is suspended: its key is refused" \
  "SELECT revdesk_authenticate('$read_key')" \
  "SELECT revdesk_suspend_tenant('$hotels')"

heading "10. What a key may know about itself: the endpoint account, by Riverside's"
with_key "$sub_key" <<'SQL' | sed 's/^/  /'
SELECT jsonb_pretty(to_jsonb(account)) FROM api.account;
SQL

echo
if [ "$failures" -gt 0 ]; then
  text "${red}FAILED: $failures of the checks above, marked WRONG.$plain"
  exit 1
fi
text "${green}Everything was answered as it must be.$plain"
