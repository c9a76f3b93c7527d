-- For docker-compose.yml, where PostgREST reaches the database by TCP.
\set ON_ERROR_STOP on
\getenv password AUTHENTICATOR_PASSWORD
SET log_statement = none;
ALTER ROLE authenticator PASSWORD :'password';
