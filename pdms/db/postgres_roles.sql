-- Schemas and roles of a pdms database on PostgreSQL 15 or newer. Run it as superuser in that database before
-- `pdms init` and again after it and after each `pdms init --upgrade`; running it again changes nothing else.
--
--   pdms_owner  owns schemas and tables: `pdms init` and `pdms init --upgrade` log in as it, nothing else does
--   pdms_vault  members, consent, audit log, requests; cannot read the key store or the held records
--   pdms_keys   wrapped keys only
--   pdms_held   records kept by statute only
--   pdms_anon   the anonymised side; of the identified one it may append audit events, and read nothing
--
-- No password is set here: \password pdms_vault, or certificates, or peer authentication.

DO $$
DECLARE part text;
BEGIN
    FOREACH part IN ARRAY ARRAY['owner', 'vault', 'keys', 'held', 'anon'] LOOP
        IF NOT EXISTS (SELECT 1 FROM pg_roles WHERE rolname = 'pdms_' || part) THEN
            EXECUTE format('CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOINHERIT NOREPLICATION',
                           'pdms_' || part);
        END IF;
        -- Values reach no log: no failed statements (their messages may repeat a value; pdms tells of them itself), no
        -- parameters, no DETAIL and CONTEXT (they repeat rows).
        EXECUTE format('ALTER ROLE %I SET log_min_messages = fatal', 'pdms_' || part);
        EXECUTE format('ALTER ROLE %I SET log_error_verbosity = terse', 'pdms_' || part);
        EXECUTE format('ALTER ROLE %I SET log_parameter_max_length = 0', 'pdms_' || part);
        EXECUTE format('ALTER ROLE %I SET log_parameter_max_length_on_error = 0', 'pdms_' || part);
        EXECUTE format('ALTER ROLE %I SET log_statement = none', 'pdms_' || part);
        EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), 'pdms_' || part);
    END LOOP;
    EXECUTE format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database());
    REVOKE ALL ON SCHEMA public FROM PUBLIC;

    FOREACH part IN ARRAY ARRAY['vault', 'keys', 'held', 'anon'] LOOP
        EXECUTE format('CREATE SCHEMA IF NOT EXISTS %I AUTHORIZATION pdms_owner', 'pdms_' || part);
        EXECUTE format('REVOKE ALL ON SCHEMA %I FROM PUBLIC', 'pdms_' || part);
        EXECUTE format('GRANT USAGE ON SCHEMA %I TO %I', 'pdms_' || part, 'pdms_' || part);
        EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA %I TO %I',
                       'pdms_' || part, 'pdms_' || part);
        EXECUTE format('GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA %I TO %I', 'pdms_' || part, 'pdms_' || part);
        EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE pdms_owner IN SCHEMA %I'
                       ' GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO %I', 'pdms_' || part, 'pdms_' || part);
        EXECUTE format('ALTER DEFAULT PRIVILEGES FOR ROLE pdms_owner IN SCHEMA %I'
                       ' GRANT USAGE, SELECT ON SEQUENCES TO %I', 'pdms_' || part, 'pdms_' || part);
        -- Nobody but the owner says at which revision the tables are.
        IF to_regclass(format('%I.alembic_version', 'pdms_' || part)) IS NOT NULL THEN
            EXECUTE format('REVOKE INSERT, UPDATE, DELETE ON %I.alembic_version FROM %I',
                           'pdms_' || part, 'pdms_' || part);
        END IF;
    END LOOP;

    -- The one thing that the anonymised side may do on the identified one. The sequence gives it numbers, not rows.
    GRANT USAGE ON SCHEMA pdms_vault TO pdms_anon;
    IF to_regclass('pdms_vault.audit_event') IS NOT NULL THEN
        GRANT INSERT ON pdms_vault.audit_event TO pdms_anon;
        GRANT USAGE ON SEQUENCE pdms_vault.audit_event_seq_seq TO pdms_anon;
    END IF;
END
$$;
