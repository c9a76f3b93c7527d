-- A login with each of the keys 1 to :keys.

CREATE FUNCTION bench.use_key(token text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM revdesk_authenticate(token);
    PERFORM revdesk_deauthenticate();
END
$$;

SELECT count(bench.use_key('revdesk_' || md5('k' || i))) FROM generate_series(1, :keys) AS i;
