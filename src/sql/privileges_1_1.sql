-- privileges_1_1.sql: who may use what came with 1.1, and what a dump holds of it.

-- A trigger calls it, for whoever may delete.
GRANT EXECUTE ON FUNCTION revdesk.is_usage_worker() TO PUBLIC;

SELECT pg_catalog.pg_extension_config_dump('revdesk.exempt_tables', '');
