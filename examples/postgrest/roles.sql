-- Roles and grants for PostgREST, or any other layer that speaks as it does.
--
-- Run as a superuser in the database of the API, after its tables have been put
-- under revdesk_protect():
--
--   psql -d revdesk -f roles.sql
--
-- Running it again is harmless.

\set ON_ERROR_STOP on
SET client_min_messages = warning;

BEGIN;

-- authenticator is the login.  It inherits nothing, so it can do nothing but
-- become api_user, the role that requests run as.
SELECT format('CREATE ROLE %I %s', wanted.name, wanted.attributes)
FROM (VALUES ('api_user', 'NOLOGIN'), ('authenticator', 'LOGIN NOINHERIT')) AS wanted (name, attributes)
WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = wanted.name)
\gexec
ALTER ROLE authenticator LOGIN NOINHERIT NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS;
GRANT api_user TO authenticator;

-- What PostgreSQL refuses a caller with a key is 403.  PostgREST alone would
-- answer 401 or 405, since it knows of no JWT.
ALTER ROLE authenticator SET revdesk.http_errors = on;

-- PostgREST has checked the signature of what it puts into request.jwt.claims.
-- So whoever can log in as authenticator can act for any user: keep that login
-- to PostgREST.  Leave this line out if there are no sessions.
ALTER ROLE authenticator SET revdesk.session_roles = authenticator;

-- nginx.conf puts the client's address into X-Forwarded-For; keys' networks, the
-- brake and the audit log go by it.  It must be 0 where no proxy does that: what
-- clients send would be believed.
ALTER ROLE authenticator SET revdesk.trusted_proxies = 1;

-- A request that takes long holds a connection of the pool.
ALTER ROLE authenticator SET statement_timeout = '10s';
ALTER ROLE authenticator SET idle_in_transaction_session_timeout = '10s';

-- /account, /api_keys, /sub_entities, /members and the functions behind /rpc.
SELECT revdesk_expose('api', '{api_user}')
\g /dev/null

-- Tables under row security, and no others.
SELECT format('GRANT SELECT, INSERT, UPDATE, DELETE ON %s TO api_user', protected.relation)
FROM revdesk.protected_tables AS protected
JOIN pg_class ON pg_class.oid = protected.relation
WHERE pg_class.relnamespace = 'api'::regnamespace
\gexec

COMMIT;

-- PostgREST learns of the new endpoints.
NOTIFY pgrst, 'reload schema';
