
SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;

CREATE TYPE public.studydirection AS ENUM (
    'NOT_SET',
    'MINIMIZE',
    'MAXIMIZE'
);

CREATE TYPE public.trialintermediatevaluetype AS ENUM (
    'FINITE',
    'INF_POS',
    'INF_NEG',
    'NAN'
);

CREATE TYPE public.trialstate AS ENUM (
    'RUNNING',
    'COMPLETE',
    'PRUNED',
    'FAIL',
    'WAITING'
);

CREATE TYPE public.trialvaluetype AS ENUM (
    'FINITE',
    'INF_POS',
    'INF_NEG'
);

SET default_tablespace = '';

SET default_table_access_method = heap;

CREATE TABLE public.alembic_version (
    version_num character varying(32) NOT NULL
);

CREATE TABLE public.studies (
    study_id integer NOT NULL,
    study_name character varying(512) NOT NULL
);

CREATE SEQUENCE public.studies_study_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.studies_study_id_seq OWNED BY public.studies.study_id;

CREATE TABLE public.study_directions (
    study_direction_id integer NOT NULL,
    direction public.studydirection NOT NULL,
    study_id integer NOT NULL,
    objective integer NOT NULL
);

CREATE SEQUENCE public.study_directions_study_direction_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.study_directions_study_direction_id_seq OWNED BY public.study_directions.study_direction_id;

CREATE TABLE public.study_system_attributes (
    study_system_attribute_id integer NOT NULL,
    study_id integer,
    key character varying(512),
    value_json text
);

CREATE SEQUENCE public.study_system_attributes_study_system_attribute_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.study_system_attributes_study_system_attribute_id_seq OWNED BY public.study_system_attributes.study_system_attribute_id;

CREATE TABLE public.study_user_attributes (
    study_user_attribute_id integer NOT NULL,
    study_id integer,
    key character varying(512),
    value_json text
);

CREATE SEQUENCE public.study_user_attributes_study_user_attribute_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.study_user_attributes_study_user_attribute_id_seq OWNED BY public.study_user_attributes.study_user_attribute_id;

CREATE TABLE public.trial_heartbeats (
    trial_heartbeat_id integer NOT NULL,
    trial_id integer NOT NULL,
    heartbeat timestamp without time zone NOT NULL
);

CREATE SEQUENCE public.trial_heartbeats_trial_heartbeat_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.trial_heartbeats_trial_heartbeat_id_seq OWNED BY public.trial_heartbeats.trial_heartbeat_id;

CREATE TABLE public.trial_intermediate_values (
    trial_intermediate_value_id integer NOT NULL,
    trial_id integer NOT NULL,
    step integer NOT NULL,
    intermediate_value double precision,
    intermediate_value_type public.trialintermediatevaluetype NOT NULL
);

CREATE SEQUENCE public.trial_intermediate_values_trial_intermediate_value_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.trial_intermediate_values_trial_intermediate_value_id_seq OWNED BY public.trial_intermediate_values.trial_intermediate_value_id;

CREATE TABLE public.trial_params (
    param_id integer NOT NULL,
    trial_id integer,
    param_name character varying(512),
    param_value double precision,
    distribution_json text
);

CREATE SEQUENCE public.trial_params_param_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.trial_params_param_id_seq OWNED BY public.trial_params.param_id;

CREATE TABLE public.trial_system_attributes (
    trial_system_attribute_id integer NOT NULL,
    trial_id integer,
    key character varying(512),
    value_json text
);

CREATE SEQUENCE public.trial_system_attributes_trial_system_attribute_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.trial_system_attributes_trial_system_attribute_id_seq OWNED BY public.trial_system_attributes.trial_system_attribute_id;

CREATE TABLE public.trial_user_attributes (
    trial_user_attribute_id integer NOT NULL,
    trial_id integer,
    key character varying(512),
    value_json text
);

CREATE SEQUENCE public.trial_user_attributes_trial_user_attribute_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.trial_user_attributes_trial_user_attribute_id_seq OWNED BY public.trial_user_attributes.trial_user_attribute_id;

CREATE TABLE public.trial_values (
    trial_value_id integer NOT NULL,
    trial_id integer NOT NULL,
    objective integer NOT NULL,
    value double precision,
    value_type public.trialvaluetype NOT NULL
);

CREATE SEQUENCE public.trial_values_trial_value_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.trial_values_trial_value_id_seq OWNED BY public.trial_values.trial_value_id;

CREATE TABLE public.trials (
    trial_id integer NOT NULL,
    number integer,
    study_id integer,
    state public.trialstate NOT NULL,
    datetime_start timestamp without time zone,
    datetime_complete timestamp without time zone
);

CREATE SEQUENCE public.trials_trial_id_seq
    AS integer
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.trials_trial_id_seq OWNED BY public.trials.trial_id;

CREATE TABLE public.tw_alembic_version (
    version_num character varying(32) NOT NULL
);

CREATE TABLE public.tw_analyses (
    job_id character varying(32) NOT NULL,
    kind character varying(32) NOT NULL,
    document text NOT NULL,
    computed_at double precision NOT NULL
);

CREATE TABLE public.tw_artifacts (
    id bigint NOT NULL,
    job_id character varying(32) NOT NULL,
    trial_id bigint,
    name character varying(100) NOT NULL,
    media_type character varying(100) NOT NULL,
    sha256 character varying(64) NOT NULL,
    size bigint NOT NULL,
    created_at double precision NOT NULL
);

CREATE SEQUENCE public.tw_artifacts_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.tw_artifacts_id_seq OWNED BY public.tw_artifacts.id;

CREATE TABLE public.tw_events (
    job_id character varying(32) NOT NULL,
    number integer NOT NULL,
    kind character varying(32) NOT NULL,
    at double precision NOT NULL,
    payload json NOT NULL
);

CREATE TABLE public.tw_idempotency (
    key character varying(255) NOT NULL,
    principal character varying(16) NOT NULL,
    body_hash character varying(64) NOT NULL,
    job_id character varying(32),
    created_at double precision NOT NULL
);

CREATE TABLE public.tw_jobs (
    id character varying(32) NOT NULL,
    name character varying(100) NOT NULL,
    labels json NOT NULL,
    owner character varying(16) NOT NULL,
    spec json NOT NULL,
    state character varying(16) NOT NULL,
    resume_state character varying(16),
    problem json,
    budget_trials integer NOT NULL,
    budget_epochs bigint,
    budget_seconds double precision,
    search_trials integer DEFAULT 0 NOT NULL,
    search_epochs bigint DEFAULT '0'::bigint NOT NULL,
    search_stopped boolean DEFAULT false NOT NULL,
    next_trial integer DEFAULT 0 NOT NULL,
    last_event integer DEFAULT 0 NOT NULL,
    fixed json,
    teacher json,
    round integer DEFAULT 0 NOT NULL,
    test_opened_at double precision,
    test_seen_before boolean DEFAULT false NOT NULL,
    created_at double precision NOT NULL,
    started_at double precision,
    paused_at double precision,
    paused_seconds double precision DEFAULT '0'::double precision NOT NULL,
    ended_at double precision,
    updated_at double precision NOT NULL
);

CREATE TABLE public.tw_keys (
    id character varying(16) NOT NULL,
    name character varying(100) NOT NULL,
    secret_hash character varying(64) NOT NULL,
    scopes json NOT NULL,
    created_at double precision NOT NULL,
    last_used_at double precision,
    revoked_at double precision
);

CREATE TABLE public.tw_leases (
    subject character varying(64) NOT NULL,
    token character varying(32) NOT NULL,
    job_id character varying(32) NOT NULL,
    trial_id bigint,
    worker_id character varying(64) NOT NULL,
    acquired_at double precision NOT NULL,
    expires_at double precision NOT NULL
);

CREATE TABLE public.tw_reports (
    trial_id bigint NOT NULL,
    epoch integer NOT NULL,
    attempt integer NOT NULL,
    train_loss double precision NOT NULL,
    learning_rate double precision NOT NULL,
    accuracy double precision NOT NULL,
    nll double precision NOT NULL,
    ece double precision NOT NULL,
    teacher_agreement double precision NOT NULL,
    teacher_entropy double precision NOT NULL,
    seconds double precision NOT NULL,
    reported_at double precision NOT NULL
);

CREATE TABLE public.tw_trials (
    id bigint NOT NULL,
    job_id character varying(32) NOT NULL,
    number integer NOT NULL,
    stage character varying(16) NOT NULL,
    arm character varying(16) NOT NULL,
    variant character varying(16),
    round integer DEFAULT 0 NOT NULL,
    origin integer,
    configuration json,
    seed bigint NOT NULL,
    state character varying(16) NOT NULL,
    attempt integer DEFAULT 0 NOT NULL,
    losses integer DEFAULT 0 NOT NULL,
    worker_id character varying(64),
    optuna_number integer,
    mirrored boolean DEFAULT false NOT NULL,
    value double precision,
    epoch integer DEFAULT 0 NOT NULL,
    metrics json,
    test_metrics json,
    reason json,
    created_at double precision NOT NULL,
    started_at double precision,
    ended_at double precision,
    train_seconds double precision DEFAULT '0'::double precision NOT NULL,
    CONSTRAINT ck_tw_trials_attempt CHECK ((attempt >= 0))
);

CREATE SEQUENCE public.tw_trials_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;

ALTER SEQUENCE public.tw_trials_id_seq OWNED BY public.tw_trials.id;

CREATE TABLE public.tw_workers (
    id character varying(64) NOT NULL,
    host character varying(255) NOT NULL,
    pid integer NOT NULL,
    lanes integer NOT NULL,
    capabilities json NOT NULL,
    started_at double precision NOT NULL,
    seen_at double precision NOT NULL,
    stopped_at double precision
);

CREATE TABLE public.version_info (
    version_info_id integer NOT NULL,
    schema_version integer,
    library_version character varying(256),
    CONSTRAINT version_info_version_info_id_check CHECK ((version_info_id = 1))
);

ALTER TABLE ONLY public.studies ALTER COLUMN study_id SET DEFAULT nextval('public.studies_study_id_seq'::regclass);

ALTER TABLE ONLY public.study_directions ALTER COLUMN study_direction_id SET DEFAULT nextval('public.study_directions_study_direction_id_seq'::regclass);

ALTER TABLE ONLY public.study_system_attributes ALTER COLUMN study_system_attribute_id SET DEFAULT nextval('public.study_system_attributes_study_system_attribute_id_seq'::regclass);

ALTER TABLE ONLY public.study_user_attributes ALTER COLUMN study_user_attribute_id SET DEFAULT nextval('public.study_user_attributes_study_user_attribute_id_seq'::regclass);

ALTER TABLE ONLY public.trial_heartbeats ALTER COLUMN trial_heartbeat_id SET DEFAULT nextval('public.trial_heartbeats_trial_heartbeat_id_seq'::regclass);

ALTER TABLE ONLY public.trial_intermediate_values ALTER COLUMN trial_intermediate_value_id SET DEFAULT nextval('public.trial_intermediate_values_trial_intermediate_value_id_seq'::regclass);

ALTER TABLE ONLY public.trial_params ALTER COLUMN param_id SET DEFAULT nextval('public.trial_params_param_id_seq'::regclass);

ALTER TABLE ONLY public.trial_system_attributes ALTER COLUMN trial_system_attribute_id SET DEFAULT nextval('public.trial_system_attributes_trial_system_attribute_id_seq'::regclass);

ALTER TABLE ONLY public.trial_user_attributes ALTER COLUMN trial_user_attribute_id SET DEFAULT nextval('public.trial_user_attributes_trial_user_attribute_id_seq'::regclass);

ALTER TABLE ONLY public.trial_values ALTER COLUMN trial_value_id SET DEFAULT nextval('public.trial_values_trial_value_id_seq'::regclass);

ALTER TABLE ONLY public.trials ALTER COLUMN trial_id SET DEFAULT nextval('public.trials_trial_id_seq'::regclass);

ALTER TABLE ONLY public.tw_artifacts ALTER COLUMN id SET DEFAULT nextval('public.tw_artifacts_id_seq'::regclass);

ALTER TABLE ONLY public.tw_trials ALTER COLUMN id SET DEFAULT nextval('public.tw_trials_id_seq'::regclass);

INSERT INTO public.alembic_version VALUES ('v3.2.0.a');

INSERT INTO public.studies VALUES (1, 'thermowell-b9b7ff15c58d7f78');
INSERT INTO public.studies VALUES (2, 'thermowell-b9b7ff15c58d7f78-label_only');
INSERT INTO public.studies VALUES (3, 'thermowell-b9b7ff15c58d7f78-t1');
INSERT INTO public.studies VALUES (4, 'thermowell-b9b7ff15c58d7f78-t4');
INSERT INTO public.studies VALUES (5, 'thermowell-11d3b9d2437e560c');

INSERT INTO public.study_directions VALUES (1, 'MAXIMIZE', 1, 0);
INSERT INTO public.study_directions VALUES (2, 'MAXIMIZE', 2, 0);
INSERT INTO public.study_directions VALUES (3, 'MAXIMIZE', 3, 0);
INSERT INTO public.study_directions VALUES (4, 'MAXIMIZE', 4, 0);
INSERT INTO public.study_directions VALUES (5, 'MAXIMIZE', 5, 0);

INSERT INTO public.trial_intermediate_values VALUES (1, 7, 2, 0.2116991643454039, 'FINITE');
INSERT INTO public.trial_intermediate_values VALUES (2, 7, 6, 0.2618384401114206, 'FINITE');
INSERT INTO public.trial_intermediate_values VALUES (3, 8, 2, 0.6406685236768802, 'FINITE');
INSERT INTO public.trial_intermediate_values VALUES (4, 8, 6, 0.7827298050139275, 'FINITE');
INSERT INTO public.trial_intermediate_values VALUES (5, 9, 2, 0.16991643454038996, 'FINITE');
INSERT INTO public.trial_intermediate_values VALUES (6, 9, 6, 0.22562674094707522, 'FINITE');
INSERT INTO public.trial_intermediate_values VALUES (7, 10, 2, 0.33147632311977715, 'FINITE');
INSERT INTO public.trial_intermediate_values VALUES (8, 10, 6, 0.5877437325905293, 'FINITE');
INSERT INTO public.trial_intermediate_values VALUES (9, 11, 2, 0.4568245125348189, 'FINITE');
INSERT INTO public.trial_intermediate_values VALUES (10, 11, 6, 0.6295264623955432, 'FINITE');

INSERT INTO public.trial_params VALUES (1, 1, 'temperature', 1.562920105033025, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 1.0, "high": 40.0, "log": true}}');
INSERT INTO public.trial_params VALUES (2, 1, 'kd_weight', 0.2554259778792655, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.1, "high": 1.0, "log": false}}');
INSERT INTO public.trial_params VALUES (3, 1, 'optimizer', 1, '{"name": "CategoricalDistribution", "attributes": {"choices": ["sgd", "adamw"]}}');
INSERT INTO public.trial_params VALUES (4, 1, 'adamw.learning_rate', 0.0008052862116474484, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0001, "high": 0.1, "log": true}}');
INSERT INTO public.trial_params VALUES (5, 1, 'adamw.weight_decay', 0.008195476350213338, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-06, "high": 0.1, "log": true}}');
INSERT INTO public.trial_params VALUES (6, 2, 'temperature', 13.013974260146682, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 1.0, "high": 40.0, "log": true}}');
INSERT INTO public.trial_params VALUES (7, 2, 'kd_weight', 0.13652447001534213, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.1, "high": 1.0, "log": false}}');
INSERT INTO public.trial_params VALUES (8, 2, 'optimizer', 1, '{"name": "CategoricalDistribution", "attributes": {"choices": ["sgd", "adamw"]}}');
INSERT INTO public.trial_params VALUES (9, 2, 'adamw.learning_rate', 0.06154175035738888, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0001, "high": 0.1, "log": true}}');
INSERT INTO public.trial_params VALUES (10, 2, 'adamw.weight_decay', 0.0002524784349244705, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-06, "high": 0.1, "log": true}}');
INSERT INTO public.trial_params VALUES (11, 3, 'temperature', 5.3713463196795885, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 1.0, "high": 40.0, "log": true}}');
INSERT INTO public.trial_params VALUES (12, 3, 'kd_weight', 0.6337973245817345, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.1, "high": 1.0, "log": false}}');
INSERT INTO public.trial_params VALUES (13, 3, 'optimizer', 1, '{"name": "CategoricalDistribution", "attributes": {"choices": ["sgd", "adamw"]}}');
INSERT INTO public.trial_params VALUES (14, 3, 'adamw.learning_rate', 0.0013044241436089888, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0001, "high": 0.1, "log": true}}');
INSERT INTO public.trial_params VALUES (15, 3, 'adamw.weight_decay', 1.1646004263227122e-06, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-06, "high": 0.1, "log": true}}');
INSERT INTO public.trial_params VALUES (16, 4, 'optimizer', 0, '{"name": "CategoricalDistribution", "attributes": {"choices": ["sgd", "adamw"]}}');
INSERT INTO public.trial_params VALUES (17, 4, 'sgd.learning_rate', 0.1802037228082688, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.001, "high": 1.0, "log": true}}');
INSERT INTO public.trial_params VALUES (18, 4, 'sgd.weight_decay', 2.786904447422134e-05, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-06, "high": 0.01, "log": true}}');
INSERT INTO public.trial_params VALUES (19, 5, 'kd_weight', 0.5474178378578122, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.1, "high": 1.0, "log": false}}');
INSERT INTO public.trial_params VALUES (20, 5, 'optimizer', 0, '{"name": "CategoricalDistribution", "attributes": {"choices": ["sgd", "adamw"]}}');
INSERT INTO public.trial_params VALUES (21, 5, 'sgd.learning_rate', 0.30303715465555064, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.001, "high": 1.0, "log": true}}');
INSERT INTO public.trial_params VALUES (22, 5, 'sgd.weight_decay', 5.915808020722575e-06, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-06, "high": 0.01, "log": true}}');
INSERT INTO public.trial_params VALUES (23, 6, 'kd_weight', 0.4640127232021781, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.1, "high": 1.0, "log": false}}');
INSERT INTO public.trial_params VALUES (24, 6, 'optimizer', 0, '{"name": "CategoricalDistribution", "attributes": {"choices": ["sgd", "adamw"]}}');
INSERT INTO public.trial_params VALUES (25, 6, 'sgd.learning_rate', 0.05937468742016077, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.001, "high": 1.0, "log": true}}');
INSERT INTO public.trial_params VALUES (26, 6, 'sgd.weight_decay', 0.0001425793241750811, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-06, "high": 0.01, "log": true}}');
INSERT INTO public.trial_params VALUES (27, 7, 'temperature', 1.562920105033025, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 1.0, "high": 40.0, "log": true}}');
INSERT INTO public.trial_params VALUES (28, 7, 'kd_weight', 0.2554259778792655, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.1, "high": 1.0, "log": false}}');
INSERT INTO public.trial_params VALUES (29, 7, 'optimizer', 1, '{"name": "CategoricalDistribution", "attributes": {"choices": ["sgd", "adamw"]}}');
INSERT INTO public.trial_params VALUES (30, 7, 'adamw.learning_rate', 0.0008052862116474484, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0001, "high": 0.1, "log": true}}');
INSERT INTO public.trial_params VALUES (31, 7, 'adamw.weight_decay', 0.008195476350213338, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-06, "high": 0.1, "log": true}}');
INSERT INTO public.trial_params VALUES (32, 8, 'temperature', 13.013974260146682, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 1.0, "high": 40.0, "log": true}}');
INSERT INTO public.trial_params VALUES (33, 8, 'kd_weight', 0.13652447001534213, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.1, "high": 1.0, "log": false}}');
INSERT INTO public.trial_params VALUES (34, 8, 'optimizer', 1, '{"name": "CategoricalDistribution", "attributes": {"choices": ["sgd", "adamw"]}}');
INSERT INTO public.trial_params VALUES (35, 8, 'adamw.learning_rate', 0.06154175035738888, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0001, "high": 0.1, "log": true}}');
INSERT INTO public.trial_params VALUES (36, 8, 'adamw.weight_decay', 0.0002524784349244705, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-06, "high": 0.1, "log": true}}');
INSERT INTO public.trial_params VALUES (37, 9, 'temperature', 5.3713463196795885, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 1.0, "high": 40.0, "log": true}}');
INSERT INTO public.trial_params VALUES (38, 9, 'kd_weight', 0.6337973245817345, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.1, "high": 1.0, "log": false}}');
INSERT INTO public.trial_params VALUES (39, 9, 'optimizer', 1, '{"name": "CategoricalDistribution", "attributes": {"choices": ["sgd", "adamw"]}}');
INSERT INTO public.trial_params VALUES (40, 9, 'adamw.learning_rate', 0.0013044241436089888, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.0001, "high": 0.1, "log": true}}');
INSERT INTO public.trial_params VALUES (41, 9, 'adamw.weight_decay', 1.1646004263227122e-06, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-06, "high": 0.1, "log": true}}');
INSERT INTO public.trial_params VALUES (42, 10, 'temperature', 3.8857442598200707, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 1.0, "high": 40.0, "log": true}}');
INSERT INTO public.trial_params VALUES (43, 10, 'kd_weight', 0.3169019640292083, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.1, "high": 1.0, "log": false}}');
INSERT INTO public.trial_params VALUES (44, 10, 'optimizer', 0, '{"name": "CategoricalDistribution", "attributes": {"choices": ["sgd", "adamw"]}}');
INSERT INTO public.trial_params VALUES (45, 10, 'sgd.learning_rate', 0.10298863039435376, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.001, "high": 1.0, "log": true}}');
INSERT INTO public.trial_params VALUES (46, 10, 'sgd.weight_decay', 0.00011821625660281939, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-06, "high": 0.01, "log": true}}');
INSERT INTO public.trial_params VALUES (47, 11, 'temperature', 2.9586134028939193, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 1.0, "high": 40.0, "log": true}}');
INSERT INTO public.trial_params VALUES (48, 11, 'kd_weight', 0.2533152478487932, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.1, "high": 1.0, "log": false}}');
INSERT INTO public.trial_params VALUES (49, 11, 'optimizer', 0, '{"name": "CategoricalDistribution", "attributes": {"choices": ["sgd", "adamw"]}}');
INSERT INTO public.trial_params VALUES (50, 11, 'sgd.learning_rate', 0.08008803899809837, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 0.001, "high": 1.0, "log": true}}');
INSERT INTO public.trial_params VALUES (51, 11, 'sgd.weight_decay', 1.0426204714119672e-06, '{"name": "FloatDistribution", "attributes": {"step": null, "low": 1e-06, "high": 0.01, "log": true}}');

INSERT INTO public.trial_user_attributes VALUES (1, 1, 'trial', '0');
INSERT INTO public.trial_user_attributes VALUES (2, 2, 'trial', '1');
INSERT INTO public.trial_user_attributes VALUES (3, 3, 'trial', '2');
INSERT INTO public.trial_user_attributes VALUES (4, 4, 'trial', '3');
INSERT INTO public.trial_user_attributes VALUES (5, 5, 'trial', '4');
INSERT INTO public.trial_user_attributes VALUES (6, 6, 'trial', '5');
INSERT INTO public.trial_user_attributes VALUES (7, 7, 'trial', '0');
INSERT INTO public.trial_user_attributes VALUES (8, 8, 'trial', '1');
INSERT INTO public.trial_user_attributes VALUES (9, 9, 'trial', '2');
INSERT INTO public.trial_user_attributes VALUES (10, 10, 'trial', '3');
INSERT INTO public.trial_user_attributes VALUES (11, 11, 'trial', '4');

INSERT INTO public.trial_values VALUES (1, 1, 0, 0.22284122562674094, 'FINITE');
INSERT INTO public.trial_values VALUES (2, 2, 0, 0.7771587743732591, 'FINITE');
INSERT INTO public.trial_values VALUES (3, 3, 0, 0.17270194986072424, 'FINITE');
INSERT INTO public.trial_values VALUES (4, 4, 0, 0.5348189415041783, 'FINITE');
INSERT INTO public.trial_values VALUES (5, 5, 0, 0.49025069637883006, 'FINITE');
INSERT INTO public.trial_values VALUES (6, 6, 0, 0.3008356545961003, 'FINITE');
INSERT INTO public.trial_values VALUES (7, 7, 0, 0.2646239554317549, 'FINITE');
INSERT INTO public.trial_values VALUES (8, 8, 0, 0.7994428969359332, 'FINITE');
INSERT INTO public.trial_values VALUES (9, 9, 0, 0.23119777158774374, 'FINITE');
INSERT INTO public.trial_values VALUES (10, 10, 0, 0.6072423398328691, 'FINITE');
INSERT INTO public.trial_values VALUES (11, 11, 0, 0.6518105849582173, 'FINITE');

INSERT INTO public.trials VALUES (1, 0, 1, 'COMPLETE', '2026-11-24 15:44:22.872553', '2026-11-24 15:44:23.543031');
INSERT INTO public.trials VALUES (2, 1, 1, 'COMPLETE', '2026-11-24 15:44:23.67511', '2026-11-24 15:44:24.097858');
INSERT INTO public.trials VALUES (3, 2, 1, 'COMPLETE', '2026-11-24 15:44:24.214773', '2026-11-24 15:44:24.530758');
INSERT INTO public.trials VALUES (4, 0, 2, 'COMPLETE', '2026-11-24 15:44:24.631126', '2026-11-24 15:44:24.910756');
INSERT INTO public.trials VALUES (5, 0, 3, 'COMPLETE', '2026-11-24 15:44:25.002105', '2026-11-24 15:44:25.323665');
INSERT INTO public.trials VALUES (6, 0, 4, 'COMPLETE', '2026-11-24 15:44:25.453593', '2026-11-24 15:44:25.756024');
INSERT INTO public.trials VALUES (7, 0, 5, 'COMPLETE', '2026-11-24 15:45:25.551222', '2026-11-24 15:45:27.601177');
INSERT INTO public.trials VALUES (8, 1, 5, 'COMPLETE', '2026-11-24 15:45:27.919323', '2026-11-24 15:45:29.683214');
INSERT INTO public.trials VALUES (9, 2, 5, 'COMPLETE', '2026-11-24 15:45:30.104686', '2026-11-24 15:45:31.729403');
INSERT INTO public.trials VALUES (10, 3, 5, 'COMPLETE', '2026-11-24 15:45:32.088543', '2026-11-24 15:45:33.632663');
INSERT INTO public.trials VALUES (11, 4, 5, 'COMPLETE', '2026-11-24 15:45:33.899244', '2026-11-24 15:45:35.234988');

INSERT INTO public.tw_alembic_version VALUES ('0001');

INSERT INTO public.tw_analyses VALUES ('b9b7ff15c58d7f78', 'result', '{"job_id":"b9b7ff15c58d7f78","metric":"accuracy","direction":"maximize","winner":{"arm":"joint","variant":"winner","origin_trial":1,"configuration":{"temperature":13.013974260146682,"kd_weight":0.13652447001534213,"label_weight":0.8634755299846579,"optimizer":{"name":"adamw","learning_rate":0.06154175035738888,"weight_decay":0.0002524784349244705,"momentum":0.0,"nesterov":false},"student_temperature":null},"validation":{"mean":0.649025069637883,"interval":{"low":0.19176172874219777,"high":1.1062884105335682,"confidence":0.9},"standard_deviation":0.10242215214958351,"values":[0.7214484679665738,0.5766016713091922],"seeds":[239447714,1327035299]},"test":{"accuracy":{"mean":0.6337047353760445,"interval":{"low":0.06212555925643837,"high":1.2052839114956506,"confidence":0.9},"standard_deviation":0.12802769018697932,"values":[0.724233983286908,0.5431754874651811],"seeds":[239447714,1327035299]},"nll":{"mean":1.2180865668219885,"interval":{"low":0.12649398606930906,"high":2.309679147574668,"confidence":0.9},"standard_deviation":0.24450519294244705,"values":[1.045195286857059,1.390977846786918],"seeds":[239447714,1327035299]},"ece":{"mean":0.20711024675312512,"interval":{"low":-0.059343303799759384,"high":0.4735637973060096,"confidence":0.9},"standard_deviation":0.05968277719807431,"values":[0.24931234322992932,0.16490815027632091],"seeds":[239447714,1327035299]},"teacher_agreement":{"mean":0.22423398328690808,"interval":{"low":0.03956994177134293,"high":0.4088980248024732,"confidence":0.9},"standard_deviation":0.04136279221425487,"values":[0.25348189415041783,0.19498607242339833],"seeds":[239447714,1327035299]},"teacher_entropy":{"mean":2.3024167031214007,"interval":{"low":2.3024167031214007,"high":2.3024167031214007,"confidence":0.9},"standard_deviation":0.0,"values":[2.3024167031214007,2.3024167031214007],"seeds":[239447714,1327035299]}},"failed_seeds":[]},"baselines":[{"arm":"label_only","variant":"tuned","origin_trial":3,"configuration":{"temperature":1.0,"kd_weight":0.0,"label_weight":1.0,"optimizer":{"name":"sgd","learning_rate":0.1802037228082688,"weight_decay":0.00002786904447422134,"momentum":0.9,"nesterov":false},"student_temperature":null},"validation":{"mean":0.5487465181058495,"interval":{"low":0.5311594665329384,"high":0.5663335696787606,"confidence":0.9},"standard_deviation":0.003939313544214769,"values":[0.5459610027855153,0.5515320334261838],"seeds":[239447714,1327035299]},"test":{"accuracy":{"mean":0.5153203342618384,"interval":{"low":0.3922109732514616,"high":0.6384296952722153,"confidence":0.9},"standard_deviation":0.02757519480950326,"values":[0.4958217270194986,0.5348189415041783],"seeds":[239447714,1327035299]},"nll":{"mean":1.5721493866255591,"interval":{"low":1.5101827804481516,"high":1.6341159928029667,"confidence":0.9},"standard_deviation":0.013879864398628065,"values":[1.5623348403873396,1.581963932863779],"seeds":[239447714,1327035299]},"ece":{"mean":0.23086608246320928,"interval":{"low":0.10624759349693373,"high":0.3554845714294848,"confidence":0.9},"standard_deviation":0.02791322351044719,"values":[0.21112845283419632,0.25060371209222226],"seeds":[239447714,1327035299]},"teacher_agreement":{"mean":0.1754874651810585,"interval":{"low":-0.0003830505480512114,"high":0.35135798091016823,"confidence":0.9},"standard_deviation":0.03939313544214751,"values":[0.20334261838440112,0.14763231197771587],"seeds":[239447714,1327035299]},"teacher_entropy":{"mean":2.2739582288776856,"interval":{"low":2.2739582288776856,"high":2.2739582288776856,"confidence":0.9},"standard_deviation":0.0,"values":[2.2739582288776856,2.2739582288776856],"seeds":[239447714,1327035299]}},"failed_seeds":[]},{"arm":"t1","variant":"tuned","origin_trial":4,"configuration":{"temperature":1.0,"kd_weight":0.5474178378578122,"label_weight":0.4525821621421878,"optimizer":{"name":"sgd","learning_rate":0.30303715465555064,"weight_decay":5.915808020722575e-6,"momentum":0.9,"nesterov":false},"student_temperature":null},"validation":{"mean":0.4554317548746518,"interval":{"low":0.07731014605706615,"high":0.8335533636922374,"confidence":0.9},"standard_deviation":0.0846952412006171,"values":[0.3955431754874652,0.5153203342618384],"seeds":[239447714,1327035299]},"test":{"accuracy":{"mean":0.4623955431754875,"interval":{"low":0.05789335699853504,"high":0.8668977293524399,"confidence":0.9},"standard_deviation":0.09060421151693929,"values":[0.3983286908077994,0.5264623955431755],"seeds":[239447714,1327035299]},"nll":{"mean":1.8597611246810382,"interval":{"low":1.7762022188994182,"high":1.943320030462658,"confidence":0.9},"standard_deviation":0.018716311140652257,"values":[1.8465266941546856,1.8729955552073907],"seeds":[239447714,1327035299]},"ece":{"mean":0.2678676696593258,"interval":{"low":-0.21425561977480218,"high":0.7499909590934537,"confidence":0.9},"standard_deviation":0.10799051769283415,"values":[0.19150684229487694,0.34422849702377467],"seeds":[239447714,1327035299]},"teacher_agreement":{"mean":0.2813370473537604,"interval":{"low":-0.017642829385725922,"high":0.5803169240932468,"confidence":0.9},"standard_deviation":0.06696833025165073,"values":[0.3286908077994429,0.233983286908078],"seeds":[239447714,1327035299]},"teacher_entropy":{"mean":2.2739582288776856,"interval":{"low":2.2739582288776856,"high":2.2739582288776856,"confidence":0.9},"standard_deviation":0.0,"values":[2.2739582288776856,2.2739582288776856],"seeds":[239447714,1327035299]}},"failed_seeds":[]},{"arm":"t4","variant":"tuned","origin_trial":5,"configuration":{"temperature":4.0,"kd_weight":0.4640127232021781,"label_weight":0.5359872767978219,"optimizer":{"name":"sgd","learning_rate":0.05937468742016077,"weight_decay":0.0001425793241750811,"momentum":0.9,"nesterov":false},"student_temperature":null},"validation":{"mean":0.1977715877437326,"interval":{"low":-0.15396944371448673,"high":0.5495126192019519,"confidence":0.9},"standard_deviation":0.07878627088429499,"values":[0.25348189415041783,0.14206128133704735],"seeds":[239447714,1327035299]},"test":{"accuracy":{"mean":0.19637883008356546,"interval":{"low":-0.12898162401528737,"high":0.5217392841824183,"confidence":0.9},"standard_deviation":0.07287730056797287,"values":[0.2479108635097493,0.14484679665738162],"seeds":[239447714,1327035299]},"nll":{"mean":2.179284587198681,"interval":{"low":2.120163976127188,"high":2.2384051982701734,"confidence":0.9},"standard_deviation":0.013242391595354529,"values":[2.188648372094884,2.169920802302478],"seeds":[239447714,1327035299]},"ece":{"mean":0.07160867004331345,"interval":{"low":-0.13516542127044928,"high":0.2783827613570762,"confidence":0.9},"standard_deviation":0.04631520952378609,"values":[0.10435846876965836,0.03885887131696854],"seeds":[239447714,1327035299]},"teacher_agreement":{"mean":0.25069637883008355,"interval":{"low":-0.5583079935238209,"high":1.059700751183988,"confidence":0.9},"standard_deviation":0.18120842303387846,"values":[0.3788300835654596,0.12256267409470752],"seeds":[239447714,1327035299]},"teacher_entropy":{"mean":2.3007971425416134,"interval":{"low":2.3007971425416134,"high":2.3007971425416134,"confidence":0.9},"standard_deviation":0.0,"values":[2.3007971425416134,2.3007971425416134],"seeds":[239447714,1327035299]}},"failed_seeds":[]},{"arm":"label_only","variant":"same_settings","origin_trial":1,"configuration":{"temperature":1.0,"kd_weight":0.0,"label_weight":1.0,"optimizer":{"name":"adamw","learning_rate":0.06154175035738888,"weight_decay":0.0002524784349244705,"momentum":0.0,"nesterov":false},"student_temperature":null},"validation":{"mean":0.6643454038997214,"interval":{"low":0.12794033092593704,"high":1.2007504768735058,"confidence":0.9},"standard_deviation":0.12014906309854985,"values":[0.7493036211699164,0.5793871866295265],"seeds":[239447714,1327035299]},"test":{"accuracy":{"mean":0.6740947075208914,"interval":{"low":0.11130905718774065,"high":1.2368803578540422,"confidence":0.9},"standard_deviation":0.12605803341487196,"values":[0.7632311977715878,0.584958217270195],"seeds":[239447714,1327035299]},"nll":{"mean":1.134837158411095,"interval":{"low":0.07594944377552992,"high":2.1937248730466603,"confidence":0.9},"standard_deviation":0.2371796488327499,"values":[0.9671258203620137,1.3025484964601766],"seeds":[239447714,1327035299]},"ece":{"mean":0.20531046362507632,"interval":{"low":-0.014376926440943127,"high":0.4249978536910958,"confidence":0.9},"standard_deviation":0.04920765186776657,"values":[0.24010552794704096,0.17051539930311171],"seeds":[239447714,1327035299]},"teacher_agreement":{"mean":0.20891364902506965,"interval":{"low":-0.054892124568594824,"high":0.4727194226187341,"confidence":0.9},"standard_deviation":0.059089703163221236,"values":[0.25069637883008355,0.1671309192200557],"seeds":[239447714,1327035299]},"teacher_entropy":{"mean":2.2739582288776856,"interval":{"low":2.2739582288776856,"high":2.2739582288776856,"confidence":0.9},"standard_deviation":0.0,"values":[2.2739582288776856,2.2739582288776856],"seeds":[239447714,1327035299]}},"failed_seeds":[]},{"arm":"t1","variant":"same_settings","origin_trial":1,"configuration":{"temperature":1.0,"kd_weight":0.13652447001534213,"label_weight":0.8634755299846579,"optimizer":{"name":"adamw","learning_rate":0.06154175035738888,"weight_decay":0.0002524784349244705,"momentum":0.0,"nesterov":false},"student_temperature":null},"validation":{"mean":0.6448467966573816,"interval":{"low":0.17878992997524107,"high":1.1109036633395222,"confidence":0.9},"standard_deviation":0.10439180892169085,"values":[0.7186629526462396,0.5710306406685237],"seeds":[239447714,1327035299]},"test":{"accuracy":{"mean":0.6392757660167131,"interval":{"low":0.05010953832419551,"high":1.2284419937092306,"confidence":0.9},"standard_deviation":0.13196700373119416,"values":[0.7325905292479109,0.5459610027855153],"seeds":[239447714,1327035299]},"nll":{"mean":1.2085738375763442,"interval":{"low":0.10443101563372092,"high":2.3127166595189674,"confidence":0.9},"standard_deviation":0.24731631423232028,"values":[1.0336947946846076,1.383452880468081],"seeds":[239447714,1327035299]},"ece":{"mean":0.2094921953064237,"interval":{"low":-0.062446349574606874,"high":0.4814307401874543,"confidence":0.9},"standard_deviation":0.060911357915952445,"values":[0.2525630295400746,0.16642136107277286],"seeds":[239447714,1327035299]},"teacher_agreement":{"mean":0.22423398328690808,"interval":{"low":0.00439583862552112,"high":0.44407212794829504,"confidence":0.9},"standard_deviation":0.04924141930268435,"values":[0.2590529247910863,0.1894150417827298],"seeds":[239447714,1327035299]},"teacher_entropy":{"mean":2.2739582288776856,"interval":{"low":2.2739582288776856,"high":2.2739582288776856,"confidence":0.9},"standard_deviation":0.0,"values":[2.2739582288776856,2.2739582288776856],"seeds":[239447714,1327035299]}},"failed_seeds":[]},{"arm":"t4","variant":"same_settings","origin_trial":1,"configuration":{"temperature":4.0,"kd_weight":0.13652447001534213,"label_weight":0.8634755299846579,"optimizer":{"name":"adamw","learning_rate":0.06154175035738888,"weight_decay":0.0002524784349244705,"momentum":0.0,"nesterov":false},"student_temperature":null},"validation":{"mean":0.6462395543175488,"interval":{"low":0.18897621342186355,"high":1.103502895213234,"confidence":0.9},"standard_deviation":0.10242215214958351,"values":[0.7186629526462396,0.5738161559888579],"seeds":[239447714,1327035299]},"test":{"accuracy":{"mean":0.6364902506963788,"interval":{"low":0.06491107457677237,"high":1.2080694268159853,"confidence":0.9},"standard_deviation":0.12802769018697938,"values":[0.7270194986072424,0.5459610027855153],"seeds":[239447714,1327035299]},"nll":{"mean":1.218008574694908,"interval":{"low":0.11585527660406059,"high":2.3201618727857554,"confidence":0.9},"standard_deviation":0.24687068193157063,"values":[1.0434446414249472,1.392572507964869],"seeds":[239447714,1327035299]},"ece":{"mean":0.20884945959371076,"interval":{"low":-0.04269828948949822,"high":0.46039720867691974,"confidence":0.9},"standard_deviation":0.056344035318945905,"values":[0.24869070904715174,0.16900821014026976],"seeds":[239447714,1327035299]},"teacher_agreement":{"mean":0.22423398328690808,"interval":{"low":0.02198289019843197,"high":0.4264850763753842,"confidence":0.9},"standard_deviation":0.04530210575846962,"values":[0.2562674094707521,0.19220055710306408],"seeds":[239447714,1327035299]},"teacher_entropy":{"mean":2.3007971425416134,"interval":{"low":2.3007971425416134,"high":2.3007971425416134,"confidence":0.9},"standard_deviation":0.0,"values":[2.3007971425416134,2.3007971425416134],"seeds":[239447714,1327035299]}},"failed_seeds":[]}],"gains":[{"over":"label_only","variant":"tuned","mean":0.10027855153203341,"interval":{"low":-0.3745718409365628,"high":0.5751289440006296,"confidence":0.9},"pairs":2,"headline":true,"test_mean":0.11838440111420609,"test_interval":{"low":-0.5763041360157768,"high":0.813072938244189,"confidence":0.9}},{"over":"t1","variant":"tuned","mean":0.19359331476323116,"interval":{"low":-0.6417916349500398,"high":1.028978264476502,"confidence":0.9},"pairs":2,"headline":true,"test_mean":0.17130919220055707,"test_interval":{"low":-0.8047721700960014,"high":1.1473905544971155,"confidence":0.9}},{"over":"t4","variant":"tuned","mean":0.4512534818941504,"interval":{"low":0.3457311724566846,"high":0.5567757913316161,"confidence":0.9},"pairs":2,"headline":true,"test_mean":0.43732590529247906,"test_interval":{"low":0.1911071832717258,"high":0.6835446273132323,"confidence":0.9}},{"over":"label_only","variant":"same_settings","mean":-0.015320334261838486,"interval":{"low":-0.0944620663399377,"high":0.06382139781626073,"confidence":0.9},"pairs":2,"headline":false,"test_mean":-0.04038997214484685,"test_interval":{"low":-0.0491834979313022,"high":-0.031596446358391504,"confidence":0.9}},{"over":"t1","variant":"same_settings","mean":0.00417827298050133,"interval":{"low":-0.004615252805954019,"high":0.012971798766956678,"confidence":0.9},"pairs":2,"headline":false,"test_mean":-0.005571030640668551,"test_interval":{"low":-0.02315808221357995,"high":0.012016020932242848,"confidence":0.9}},{"over":"t4","variant":"same_settings","mean":0.0027855153203342198,"interval":{"low":0.0027855153203342198,"high":0.0027855153203342198,"confidence":0.9},"pairs":2,"headline":false,"test_mean":-0.0027855153203342753,"test_interval":{"low":-0.0027855153203346257,"high":-0.002785515320333925,"confidence":0.9}}],"summary":"Distil at T = 13 with AdamW (learning rate 0.0615, weight decay 0.000252), kd_weight 0.137: validation accuracy 64.9 % (90 % interval 19.2 to 110.6), a gain of 10.0 points (90 % interval −37.5 to 57.5) over the strongest tuned baseline, no distillation.","estimand":"Means over training seeds (initial weights, order of the data, dropout), with 2 seeds that chose nothing, for this teacher, this split of digits and this configuration; Student''s t intervals, 90 % each, not jointly. Gains are paired by seed. Another teacher, split or draw of images is outside of them; the configurations were chosen on the validation part that measures them, so that the test part, where it was read, is the fairer judge of the level.","conventions":"loss = kd_weight * T^2 * KL(softmax(teacher / T) || softmax(student / T)) + label_weight * cross-entropy, both averaged over the batch (`batchmean`: summed over classes). Under `mean`, which also divides by the number of classes, the best temperature and weight come out higher.","cautions":["The winner''s mean rests on 2 seeds; intervals from so few are rough.","The gain over the strongest tuned baseline, no distillation, is not established: its interval contains zero.","Too few trials completed for a temperature response: it takes 8 different configurations of an optimizer at several temperatures.","The validation part has 359 images: one of them is 0.28 points, more than the difference that was said not to matter (0.2 points)."],"test_seen_before":false,"search_trials":3,"trials":24,"epochs":96,"wall_seconds":7.4427759647369385,"computed_at":"2026-11-24T15:44:30.333805+00:00"}', 1795535070.388306);
INSERT INTO public.tw_analyses VALUES ('b9b7ff15c58d7f78', 'response', '{"job_id":"b9b7ff15c58d7f78","metric":"accuracy","direction":"maximize","overall":null,"per_optimizer":[],"observations":[{"trial":0,"temperature":1.562920105033025,"optimizer":"adamw","value":0.22284122562674094,"stage":"search","state":"completed"},{"trial":1,"temperature":13.013974260146682,"optimizer":"adamw","value":0.7771587743732591,"stage":"search","state":"completed"},{"trial":2,"temperature":5.3713463196795885,"optimizer":"adamw","value":0.17270194986072424,"stage":"search","state":"completed"},{"trial":4,"temperature":1.0,"optimizer":"sgd","value":0.49025069637883006,"stage":"baseline","state":"completed"},{"trial":5,"temperature":4.0,"optimizer":"sgd","value":0.3008356545961003,"stage":"baseline","state":"completed"},{"trial":6,"temperature":13.013974260146682,"optimizer":"adamw","value":0.6768802228412256,"stage":"select","state":"completed"},{"trial":7,"temperature":1.562920105033025,"optimizer":"adamw","value":0.13370473537604458,"stage":"select","state":"completed"},{"trial":8,"temperature":13.013974260146682,"optimizer":"adamw","value":0.5988857938718662,"stage":"select","state":"completed"},{"trial":9,"temperature":1.562920105033025,"optimizer":"adamw","value":0.08635097493036212,"stage":"select","state":"completed"},{"trial":10,"temperature":13.013974260146682,"optimizer":"adamw","value":0.5766016713091922,"stage":"estimate","state":"completed"},{"trial":13,"temperature":1.0,"optimizer":"sgd","value":0.5153203342618384,"stage":"estimate","state":"completed"},{"trial":14,"temperature":1.0,"optimizer":"adamw","value":0.5710306406685237,"stage":"estimate","state":"completed"},{"trial":15,"temperature":4.0,"optimizer":"sgd","value":0.14206128133704735,"stage":"estimate","state":"completed"},{"trial":16,"temperature":4.0,"optimizer":"adamw","value":0.5738161559888579,"stage":"estimate","state":"completed"},{"trial":17,"temperature":13.013974260146682,"optimizer":"adamw","value":0.7214484679665738,"stage":"estimate","state":"completed"},{"trial":20,"temperature":1.0,"optimizer":"sgd","value":0.3955431754874652,"stage":"estimate","state":"completed"},{"trial":21,"temperature":1.0,"optimizer":"adamw","value":0.7186629526462396,"stage":"estimate","state":"completed"},{"trial":22,"temperature":4.0,"optimizer":"sgd","value":0.25348189415041783,"stage":"estimate","state":"completed"},{"trial":23,"temperature":4.0,"optimizer":"adamw","value":0.7186629526462396,"stage":"estimate","state":"completed"}],"softness":[[1.0,2.2725834627325843],[1.1221847815072112,2.278714112015506],[1.2592986838463873,2.2836037340922895],[1.4131658183844769,2.287498868386172],[1.5858331751372434,2.2905989131504265],[1.7795978551482743,2.293064423131229],[1.9970376302502681,2.2950242302913315],[2.2410452367640756,2.2965814355319005],[2.514866859365871,2.2978183779389334],[2.822145317097216,2.2988007117367113],[3.1669685260483385,2.2995807240583814],[3.55392388344377,2.3002000183116453],[3.9881592966356063,2.3006916743035286],[4.475451668910981,2.3010819809632133],[5.022283753222952,2.3013918224604764],[5.635930396277716,2.3016377847661578],[6.324555320336758,2.301833037655329],[7.097319730282376,2.301988036892544],[7.964504190813745,2.3021110827633096],[8.937645395181594,2.30220876404671],[10.029689644980786,2.3022863107537583],[11.255165082837905,2.302347874280116],[12.630374969312046,2.3023967498531386],[14.173614575291584,2.302435553128189],[15.905414575341014,2.3024663603683186],[17.848814180010667,2.3024908197085776],[20.02966764075809,2.302510239465703],[22.476988205106167,2.302525658227561],[25.223334097887225,2.3025379004815227],[28.30524166352097,2.3025476207659015],[31.763711431687085,2.3025553387129762],[35.64475357282589,2.3025614668633634],[40.0,2.302566332743461]],"method":"Gaussian process (Matern 5/2, a length scale for each setting, hyperparameters averaged over Laplace''s approximation of their posterior), one for each optimizer, over the last epoch''s value of completed search, baseline (T = 1, T = 4) and confirmation trials; seed noise is estimated and left out of the band. Trials that were stopped early are shown but not fitted: their value is of a shorter training, where other temperatures are best. Diverged trials count as the worst value seen. At each temperature the other settings are those with the best posterior mean; of the optimizers, the one whose band''s worse end is best. Bands are pointwise; sets are read off joint posterior draws: the confidence set holds what is not shown to be worse than the best, the equivalent set what is shown to be within delta of it.","delta":0.002,"computed_at":"2026-11-24T15:44:30.333805+00:00"}', 1795535070.398673);
INSERT INTO public.tw_analyses VALUES ('b9b7ff15c58d7f78', 'importances', '{"job_id":"b9b7ff15c58d7f78","evaluator":"too few trials","importances":{},"computed_at":"2026-11-24T15:44:30.333805+00:00"}', 1795535070.403094);

INSERT INTO public.tw_artifacts VALUES (1, 'b9b7ff15c58d7f78', 18, 'student.safetensors', 'application/octet-stream', 'f1e7fd37d496382e077301c7e7b5f16f4fdae10f74231567e980514793fd273a', 5128, 1795535070.261342);
INSERT INTO public.tw_artifacts VALUES (2, 'b9b7ff15c58d7f78', 18, 'student.json', 'application/json', '3b917d72ac0c7af518699306f9374f7195f04226e70fc053c6cc5c6eda85bbb9', 1638, 1795535070.311877);

INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 1, 'submitted', 1795535033.603831, '{"name": "answered"}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 2, 'state', 1795535062.235351, '{"from": "queued", "to": "running", "reason": null}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 3, 'trial_started', 1795535062.267739, '{"trial": 0, "stage": "search", "arm": "joint", "attempt": 1, "worker": "vm-4916-cc8bb5"}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 4, 'teacher_ready', 1795535062.702737, '{"fingerprint": "4ad8de27ea525480b5d1656020c344fa3f5e8bd85d60cf4299d511a454f12cf2", "classes": 10, "train_images": 100, "validation_images": 359, "validation": {"accuracy": 0.2395543175487465, "nll": 2.1642675645560803, "ece": 0.11550426499275326, "teacher_agreement": 1.0, "teacher_entropy": 2.2725834627325843}}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 5, 'best', 1795535063.454285, '{"trial": 0, "value": 0.22284122562674094, "metric": "accuracy", "configuration": {"temperature": 1.562920105033025, "kd_weight": 0.2554259778792655, "label_weight": 0.7445740221207344, "optimizer": {"name": "adamw", "learning_rate": 0.0008052862116474484, "weight_decay": 0.008195476350213338, "momentum": 0.0, "nesterov": false}, "student_temperature": null}}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 6, 'trial_finished', 1795535063.471086, '{"trial": 0, "stage": "search", "arm": "joint", "value": 0.22284122562674094, "epoch": 4, "reason": null}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 7, 'trial_started', 1795535063.633062, '{"trial": 1, "stage": "search", "arm": "joint", "attempt": 1, "worker": "vm-4916-cc8bb5"}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 8, 'best', 1795535064.047129, '{"trial": 1, "value": 0.7771587743732591, "metric": "accuracy", "configuration": {"temperature": 13.013974260146682, "kd_weight": 0.13652447001534213, "label_weight": 0.8634755299846579, "optimizer": {"name": "adamw", "learning_rate": 0.06154175035738888, "weight_decay": 0.0002524784349244705, "momentum": 0.0, "nesterov": false}, "student_temperature": null}}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 9, 'trial_finished', 1795535064.056092, '{"trial": 1, "stage": "search", "arm": "joint", "value": 0.7771587743732591, "epoch": 4, "reason": null}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 10, 'trial_started', 1795535064.18253, '{"trial": 2, "stage": "search", "arm": "joint", "attempt": 1, "worker": "vm-4916-cc8bb5"}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 11, 'trial_finished', 1795535064.495967, '{"trial": 2, "stage": "search", "arm": "joint", "value": 0.17270194986072424, "epoch": 4, "reason": null}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 12, 'trial_started', 1795535064.602335, '{"trial": 3, "stage": "baseline", "arm": "label_only", "attempt": 1, "worker": "vm-4916-cc8bb5"}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 13, 'trial_finished', 1795535064.870482, '{"trial": 3, "stage": "baseline", "arm": "label_only", "value": 0.5348189415041783, "epoch": 4, "reason": null}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 14, 'trial_started', 1795535064.970934, '{"trial": 4, "stage": "baseline", "arm": "t1", "attempt": 1, "worker": "vm-4916-cc8bb5"}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 15, 'trial_finished', 1795535065.243652, '{"trial": 4, "stage": "baseline", "arm": "t1", "value": 0.49025069637883006, "epoch": 4, "reason": null}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 16, 'trial_started', 1795535065.418984, '{"trial": 5, "stage": "baseline", "arm": "t4", "attempt": 1, "worker": "vm-4916-cc8bb5"}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 17, 'trial_finished', 1795535065.679684, '{"trial": 5, "stage": "baseline", "arm": "t4", "value": 0.3008356545961003, "epoch": 4, "reason": null}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 18, 'state', 1795535065.711154, '{"from": "running", "to": "confirming", "reason": null}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 19, 'trial_started', 1795535065.83771, '{"trial": 6, "stage": "select", "arm": "joint", "attempt": 1, "worker": "vm-4916-cc8bb5"}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 20, 'trial_finished', 1795535065.981345, '{"trial": 6, "stage": "select", "arm": "joint", "value": 0.6768802228412256, "epoch": 4, "reason": null}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 21, 'trial_started', 1795535066.012926, '{"trial": 7, "stage": "select", "arm": "joint", "attempt": 1, "worker": "vm-4916-cc8bb5"}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 22, 'trial_finished', 1795535066.13359, '{"trial": 7, "stage": "select", "arm": "joint", "value": 0.13370473537604458, "epoch": 4, "reason": null}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 23, 'trial_started', 1795535066.168385, '{"trial": 8, "stage": "select", "arm": "joint", "attempt": 1, "worker": "vm-4916-cc8bb5"}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 24, 'trial_finished', 1795535066.301861, '{"trial": 8, "stage": "select", "arm": "joint", "value": 0.5988857938718662, "epoch": 4, "reason": null}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 25, 'trial_started', 1795535066.359275, '{"trial": 9, "stage": "select", "arm": "joint", "attempt": 1, "worker": "vm-4916-cc8bb5"}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 26, 'trial_finished', 1795535066.571829, '{"trial": 9, "stage": "select", "arm": "joint", "value": 0.08635097493036212, "epoch": 4, "reason": null}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 27, 'trial_started', 1795535066.683226, '{"trial": 10, "stage": "estimate", "arm": "joint", "attempt": 1, "worker": "vm-4916-cc8bb5"}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 28, 'trial_finished', 1795535066.910535, '{"trial": 10, "stage": "estimate", "arm": "joint", "value": 0.5766016713091922, "epoch": 4, "reason": null}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 29, 'trial_started', 1795535066.980901, '{"trial": 11, "stage": "estimate", "arm": "label_only", "attempt": 1, "worker": "vm-4916-cc8bb5"}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 30, 'trial_finished', 1795535067.137122, '{"trial": 11, "stage": "estimate", "arm": "label_only", "value": 0.5515320334261838, "epoch": 4, "reason": null}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 31, 'trial_started', 1795535067.176763, '{"trial": 12, "stage": "estimate", "arm": "label_only", "attempt": 1, "worker": "vm-4916-cc8bb5"}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 32, 'trial_finished', 1795535067.388348, '{"trial": 12, "stage": "estimate", "arm": "label_only", "value": 0.5793871866295265, "epoch": 4, "reason": null}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 33, 'trial_started', 1795535067.434527, '{"trial": 13, "stage": "estimate", "arm": "t1", "attempt": 1, "worker": "vm-4916-cc8bb5"}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 34, 'trial_finished', 1795535067.584906, '{"trial": 13, "stage": "estimate", "arm": "t1", "value": 0.5153203342618384, "epoch": 4, "reason": null}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 35, 'trial_started', 1795535067.62063, '{"trial": 14, "stage": "estimate", "arm": "t1", "attempt": 1, "worker": "vm-4916-cc8bb5"}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 36, 'trial_finished', 1795535067.736099, '{"trial": 14, "stage": "estimate", "arm": "t1", "value": 0.5710306406685237, "epoch": 4, "reason": null}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 37, 'trial_started', 1795535067.762907, '{"trial": 15, "stage": "estimate", "arm": "t4", "attempt": 1, "worker": "vm-4916-cc8bb5"}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 38, 'trial_finished', 1795535067.926562, '{"trial": 15, "stage": "estimate", "arm": "t4", "value": 0.14206128133704735, "epoch": 4, "reason": null}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 39, 'trial_started', 1795535067.99666, '{"trial": 16, "stage": "estimate", "arm": "t4", "attempt": 1, "worker": "vm-4916-cc8bb5"}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 40, 'trial_finished', 1795535068.182233, '{"trial": 16, "stage": "estimate", "arm": "t4", "value": 0.5738161559888579, "epoch": 4, "reason": null}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 41, 'trial_started', 1795535068.211003, '{"trial": 17, "stage": "estimate", "arm": "joint", "attempt": 1, "worker": "vm-4916-cc8bb5"}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 42, 'trial_finished', 1795535068.352802, '{"trial": 17, "stage": "estimate", "arm": "joint", "value": 0.7214484679665738, "epoch": 4, "reason": null}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 43, 'trial_started', 1795535068.381825, '{"trial": 18, "stage": "estimate", "arm": "label_only", "attempt": 1, "worker": "vm-4916-cc8bb5"}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 44, 'trial_finished', 1795535068.671868, '{"trial": 18, "stage": "estimate", "arm": "label_only", "value": 0.5459610027855153, "epoch": 4, "reason": null}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 45, 'trial_started', 1795535068.698978, '{"trial": 19, "stage": "estimate", "arm": "label_only", "attempt": 1, "worker": "vm-4916-cc8bb5"}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 46, 'trial_finished', 1795535068.836022, '{"trial": 19, "stage": "estimate", "arm": "label_only", "value": 0.7493036211699164, "epoch": 4, "reason": null}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 47, 'trial_started', 1795535068.866985, '{"trial": 20, "stage": "estimate", "arm": "t1", "attempt": 1, "worker": "vm-4916-cc8bb5"}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 48, 'trial_finished', 1795535069.010576, '{"trial": 20, "stage": "estimate", "arm": "t1", "value": 0.3955431754874652, "epoch": 4, "reason": null}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 49, 'trial_started', 1795535069.044541, '{"trial": 21, "stage": "estimate", "arm": "t1", "attempt": 1, "worker": "vm-4916-cc8bb5"}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 50, 'trial_finished', 1795535069.210629, '{"trial": 21, "stage": "estimate", "arm": "t1", "value": 0.7186629526462396, "epoch": 4, "reason": null}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 51, 'trial_started', 1795535069.252305, '{"trial": 22, "stage": "estimate", "arm": "t4", "attempt": 1, "worker": "vm-4916-cc8bb5"}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 52, 'trial_finished', 1795535069.390982, '{"trial": 22, "stage": "estimate", "arm": "t4", "value": 0.25348189415041783, "epoch": 4, "reason": null}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 53, 'trial_started', 1795535069.429862, '{"trial": 23, "stage": "estimate", "arm": "t4", "attempt": 1, "worker": "vm-4916-cc8bb5"}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 54, 'trial_finished', 1795535069.611493, '{"trial": 23, "stage": "estimate", "arm": "t4", "value": 0.7186629526462396, "epoch": 4, "reason": null}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 55, 'state', 1795535069.627392, '{"from": "confirming", "to": "analysing", "reason": null}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 56, 'closing', 1795535069.662969, '{"worker": "vm-4916-cc8bb5"}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 57, 'test_opened', 1795535069.802888, '{}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 58, 'artifact', 1795535070.268931, '{"name": "student.safetensors", "sha256": "f1e7fd37d496382e077301c7e7b5f16f4fdae10f74231567e980514793fd273a", "size": 5128}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 59, 'artifact', 1795535070.313568, '{"name": "student.json", "sha256": "3b917d72ac0c7af518699306f9374f7195f04226e70fc053c6cc5c6eda85bbb9", "size": 1638}');
INSERT INTO public.tw_events VALUES ('b9b7ff15c58d7f78', 60, 'state', 1795535070.406044, '{"from": "analysing", "to": "completed", "reason": null}');
INSERT INTO public.tw_events VALUES ('11d3b9d2437e560c', 1, 'submitted', 1795535078.138615, '{"name": "half-done"}');
INSERT INTO public.tw_events VALUES ('539dc0c703c93055', 1, 'submitted', 1795535078.191612, '{"name": "untouched"}');
INSERT INTO public.tw_events VALUES ('539dc0c703c93055', 2, 'state', 1795535078.245376, '{"from": "queued", "to": "paused", "reason": null}');
INSERT INTO public.tw_events VALUES ('11d3b9d2437e560c', 2, 'state', 1795535124.595059, '{"from": "queued", "to": "running", "reason": null}');
INSERT INTO public.tw_events VALUES ('11d3b9d2437e560c', 3, 'trial_started', 1795535124.664231, '{"trial": 0, "stage": "search", "arm": "joint", "attempt": 1, "worker": "vm-5782-b0ec19"}');
INSERT INTO public.tw_events VALUES ('11d3b9d2437e560c', 4, 'teacher_ready', 1795535125.42403, '{"fingerprint": "4ad8de27ea525480b5d1656020c344fa3f5e8bd85d60cf4299d511a454f12cf2", "classes": 10, "train_images": 100, "validation_images": 359, "validation": {"accuracy": 0.2395543175487465, "nll": 2.1642675645560803, "ece": 0.11550426499275326, "teacher_agreement": 1.0, "teacher_entropy": 2.2725834627325843}}');
INSERT INTO public.tw_events VALUES ('11d3b9d2437e560c', 5, 'best', 1795535127.344371, '{"trial": 0, "value": 0.2646239554317549, "metric": "accuracy", "configuration": {"temperature": 1.562920105033025, "kd_weight": 0.2554259778792655, "label_weight": 0.7445740221207344, "optimizer": {"name": "adamw", "learning_rate": 0.0008052862116474484, "weight_decay": 0.008195476350213338, "momentum": 0.0, "nesterov": false}, "student_temperature": null}}');
INSERT INTO public.tw_events VALUES ('11d3b9d2437e560c', 6, 'trial_finished', 1795535127.404475, '{"trial": 0, "stage": "search", "arm": "joint", "value": 0.2646239554317549, "epoch": 8, "reason": null}');
INSERT INTO public.tw_events VALUES ('11d3b9d2437e560c', 7, 'trial_started', 1795535127.806821, '{"trial": 1, "stage": "search", "arm": "joint", "attempt": 1, "worker": "vm-5782-b0ec19"}');
INSERT INTO public.tw_events VALUES ('11d3b9d2437e560c', 8, 'best', 1795535129.491375, '{"trial": 1, "value": 0.7994428969359332, "metric": "accuracy", "configuration": {"temperature": 13.013974260146682, "kd_weight": 0.13652447001534213, "label_weight": 0.8634755299846579, "optimizer": {"name": "adamw", "learning_rate": 0.06154175035738888, "weight_decay": 0.0002524784349244705, "momentum": 0.0, "nesterov": false}, "student_temperature": null}}');
INSERT INTO public.tw_events VALUES ('11d3b9d2437e560c', 9, 'trial_finished', 1795535129.530042, '{"trial": 1, "stage": "search", "arm": "joint", "value": 0.7994428969359332, "epoch": 8, "reason": null}');
INSERT INTO public.tw_events VALUES ('11d3b9d2437e560c', 10, 'trial_started', 1795535129.921861, '{"trial": 2, "stage": "search", "arm": "joint", "attempt": 1, "worker": "vm-5782-b0ec19"}');
INSERT INTO public.tw_events VALUES ('11d3b9d2437e560c', 11, 'trial_finished', 1795535131.557351, '{"trial": 2, "stage": "search", "arm": "joint", "value": 0.23119777158774374, "epoch": 8, "reason": null}');
INSERT INTO public.tw_events VALUES ('11d3b9d2437e560c', 12, 'trial_started', 1795535131.978536, '{"trial": 3, "stage": "search", "arm": "joint", "attempt": 1, "worker": "vm-5782-b0ec19"}');
INSERT INTO public.tw_events VALUES ('11d3b9d2437e560c', 13, 'trial_finished', 1795535133.506299, '{"trial": 3, "stage": "search", "arm": "joint", "value": 0.6072423398328691, "epoch": 8, "reason": null}');
INSERT INTO public.tw_events VALUES ('11d3b9d2437e560c', 14, 'trial_started', 1795535133.808762, '{"trial": 4, "stage": "search", "arm": "joint", "attempt": 1, "worker": "vm-5782-b0ec19"}');
INSERT INTO public.tw_events VALUES ('11d3b9d2437e560c', 15, 'trial_finished', 1795535135.111295, '{"trial": 4, "stage": "search", "arm": "joint", "value": 0.6518105849582173, "epoch": 8, "reason": null}');
INSERT INTO public.tw_events VALUES ('11d3b9d2437e560c', 16, 'trial_started', 1795535135.485875, '{"trial": 5, "stage": "search", "arm": "joint", "attempt": 1, "worker": "vm-5782-b0ec19"}');
INSERT INTO public.tw_events VALUES ('539dc0c703c93055', 3, 'state', 1795535135.88948, '{"from": "paused", "to": "queued", "reason": null}');

INSERT INTO public.tw_jobs VALUES ('b9b7ff15c58d7f78', 'answered', '{}', 'e7e85f5e95b9', '{"schema_version": 1, "name": "answered", "labels": {}, "dataset": {"name": "digits", "split_seed": 0, "validation_fraction": 0.2, "test_fraction": 0.2, "train_size": 100, "augmentation": "none"}, "teacher": {"source": "train", "model": {"name": "mlp", "arguments": {"width": 32}}, "training": {"epochs": 2, "batch_size": 64, "schedule": {"name": "cosine", "warmup_epochs": 0, "step_epochs": [], "step_factor": 0.1}}, "optimizer": {"name": "adamw", "learning_rate": 0.01, "weight_decay": 0.0005, "momentum": 0.0, "nesterov": false}, "label_smoothing": 0.0, "seed": 0, "views": 2}, "student": {"name": "mlp", "arguments": {"width": 16}}, "training": {"epochs": 4, "batch_size": 32, "schedule": {"name": "cosine", "warmup_epochs": 0, "step_epochs": [], "step_factor": 0.1}}, "space": {"temperature": {"low": 1.0, "high": 40.0, "log": true}, "kd_weight": {"low": 0.1, "high": 1.0, "log": false}, "optimizer": {"sgd": {"learning_rate": {"low": 0.001, "high": 1.0, "log": true}, "momentum": 0.9, "nesterov": false, "weight_decay": {"low": 1e-06, "high": 0.01, "log": true}}, "adamw": {"learning_rate": {"low": 0.0001, "high": 0.1, "log": true}, "weight_decay": {"low": 1e-06, "high": 0.1, "log": true}}}}, "objective": {"metric": "accuracy"}, "sampler": {"name": "tpe", "startup_trials": 10}, "pruner": {"name": "none", "min_epochs": 4, "reduction_factor": 3, "startup_trials": 5}, "budget": {"trials": 3}, "baselines": {"share": 0.1}, "confirmation": {"finalists": 2, "select_seeds": 2, "estimate_seeds": 2, "confidence": 0.9, "delta": 0.002}, "seed": 0, "precision": "auto"}', 'completed', NULL, NULL, 3, NULL, NULL, 3, 12, false, 24, 60, '{"views": 1, "precision": "fp32", "engine": "loop", "device": "cpu", "torch": "2.14.1+cu130", "threads": 1}', '{"fingerprint": "4ad8de27ea525480b5d1656020c344fa3f5e8bd85d60cf4299d511a454f12cf2", "classes": 10, "train_images": 100, "validation_images": 359, "validation": {"accuracy": 0.2395543175487465, "nll": 2.1642675645560803, "ece": 0.11550426499275326, "teacher_agreement": 1.0, "teacher_entropy": 2.2725834627325843}}', 0, 1795535069.798778, false, 1795535033.591753, 1795535062.220822, 1795535065.702443, 0, 1795535070.404514, 1795535070.405588);
INSERT INTO public.tw_jobs VALUES ('539dc0c703c93055', 'untouched', '{}', 'e7e85f5e95b9', '{"schema_version": 1, "name": "untouched", "labels": {}, "dataset": {"name": "digits", "split_seed": 0, "validation_fraction": 0.2, "test_fraction": 0.2, "train_size": 100, "augmentation": "none"}, "teacher": {"source": "train", "model": {"name": "mlp", "arguments": {"width": 32}}, "training": {"epochs": 2, "batch_size": 64, "schedule": {"name": "cosine", "warmup_epochs": 0, "step_epochs": [], "step_factor": 0.1}}, "optimizer": {"name": "adamw", "learning_rate": 0.01, "weight_decay": 0.0005, "momentum": 0.0, "nesterov": false}, "label_smoothing": 0.0, "seed": 0, "views": 2}, "student": {"name": "mlp", "arguments": {"width": 16}}, "training": {"epochs": 8, "batch_size": 32, "schedule": {"name": "cosine", "warmup_epochs": 0, "step_epochs": [], "step_factor": 0.1}}, "space": {"temperature": {"low": 1.0, "high": 40.0, "log": true}, "kd_weight": {"low": 0.1, "high": 1.0, "log": false}, "optimizer": {"sgd": {"learning_rate": {"low": 0.001, "high": 1.0, "log": true}, "momentum": 0.9, "nesterov": false, "weight_decay": {"low": 1e-06, "high": 0.01, "log": true}}, "adamw": {"learning_rate": {"low": 0.0001, "high": 0.1, "log": true}, "weight_decay": {"low": 1e-06, "high": 0.1, "log": true}}}}, "objective": {"metric": "accuracy"}, "sampler": {"name": "tpe", "startup_trials": 10}, "pruner": {"name": "median", "min_epochs": 2, "reduction_factor": 3, "startup_trials": 5}, "budget": {"trials": 3}, "baselines": {"share": 0.1}, "confirmation": {"finalists": 2, "select_seeds": 2, "estimate_seeds": 2, "confidence": 0.9, "delta": 0.002}, "seed": 0, "precision": "auto"}', 'queued', NULL, NULL, 3, NULL, NULL, 0, 0, false, 0, 3, NULL, NULL, 0, NULL, false, 1795535078.186942, NULL, NULL, 0, NULL, 1795535135.888598);
INSERT INTO public.tw_jobs VALUES ('11d3b9d2437e560c', 'half-done', '{}', 'e7e85f5e95b9', '{"schema_version": 1, "name": "half-done", "labels": {}, "dataset": {"name": "digits", "split_seed": 0, "validation_fraction": 0.2, "test_fraction": 0.2, "train_size": 100, "augmentation": "none"}, "teacher": {"source": "train", "model": {"name": "mlp", "arguments": {"width": 32}}, "training": {"epochs": 2, "batch_size": 64, "schedule": {"name": "cosine", "warmup_epochs": 0, "step_epochs": [], "step_factor": 0.1}}, "optimizer": {"name": "adamw", "learning_rate": 0.01, "weight_decay": 0.0005, "momentum": 0.0, "nesterov": false}, "label_smoothing": 0.0, "seed": 0, "views": 2}, "student": {"name": "mlp", "arguments": {"width": 16}}, "training": {"epochs": 8, "batch_size": 32, "schedule": {"name": "cosine", "warmup_epochs": 0, "step_epochs": [], "step_factor": 0.1}}, "space": {"temperature": {"low": 1.0, "high": 40.0, "log": true}, "kd_weight": {"low": 0.1, "high": 1.0, "log": false}, "optimizer": {"sgd": {"learning_rate": {"low": 0.001, "high": 1.0, "log": true}, "momentum": 0.9, "nesterov": false, "weight_decay": {"low": 1e-06, "high": 0.01, "log": true}}, "adamw": {"learning_rate": {"low": 0.0001, "high": 0.1, "log": true}, "weight_decay": {"low": 1e-06, "high": 0.1, "log": true}}}}, "objective": {"metric": "accuracy"}, "sampler": {"name": "tpe", "startup_trials": 10}, "pruner": {"name": "median", "min_epochs": 2, "reduction_factor": 3, "startup_trials": 5}, "budget": {"trials": 10}, "baselines": {"share": 0.1}, "confirmation": {"finalists": 2, "select_seeds": 2, "estimate_seeds": 2, "confidence": 0.9, "delta": 0.002}, "seed": 0, "precision": "auto"}', 'running', NULL, NULL, 10, NULL, NULL, 6, 48, false, 6, 16, '{"views": 1, "precision": "fp32", "engine": "loop", "device": "cpu", "torch": "2.14.1+cu130", "threads": 1}', '{"fingerprint": "4ad8de27ea525480b5d1656020c344fa3f5e8bd85d60cf4299d511a454f12cf2", "classes": 10, "train_images": 100, "validation_images": 359, "validation": {"accuracy": 0.2395543175487465, "nll": 2.1642675645560803, "ece": 0.11550426499275326, "teacher_agreement": 1.0, "teacher_entropy": 2.2725834627325843}}', 0, NULL, false, 1795535078.128146, 1795535124.562609, NULL, 0, NULL, 1795535135.484553);

INSERT INTO public.tw_keys VALUES ('e7e85f5e95b9', 'somebody', '7f157ed464399bd5a692fa9fcbecce6bab3c120dcbbcd69e34a0ba0f1696c828', '["read", "submit"]', 1795535033.570233, NULL, NULL);

INSERT INTO public.tw_leases VALUES ('trial:30', '917ebc094c1d6e36a648d38582335fcd', '11d3b9d2437e560c', 30, 'vm-5782-b0ec19', 1795535135.483602, 1795535165.48361);

INSERT INTO public.tw_reports VALUES (1, 1, 1, 1.7596257130304973, 0.0007513422641257355, 0.18384401114206128, 2.314633392951178, 0.03631064366777617, 0.027855153203342618, 2.2902455149741527, 0.03885921400069492, 1795535063.227277);
INSERT INTO public.tw_reports VALUES (1, 2, 1, 1.7394949197769165, 0.0005068548099901337, 0.20334261838440112, 2.2971817563369026, 0.06067676452836171, 0.04735376044568245, 2.2902455149741527, 0.030543916000169702, 1795535063.33027);
INSERT INTO public.tw_reports VALUES (1, 3, 1, 1.7330779631932576, 0.00020132155291186217, 0.2200557103064067, 2.289123912700188, 0.07755255328053584, 0.05013927576601671, 2.2902455149741527, 0.029771377001452493, 1795535063.387162);
INSERT INTO public.tw_reports VALUES (1, 4, 1, 1.733453671137492, 1.3719731131346673e-05, 0.22284122562674094, 2.287520812567375, 0.08062033485775127, 0.052924791086350974, 2.2902455149741527, 0.017717806000291603, 1795535063.424029);
INSERT INTO public.tw_reports VALUES (2, 1, 1, 1.9914928674697876, 0.05741923478012386, 0.48746518105849584, 1.667810756791326, 0.21102280092444875, 0.27298050139275765, 2.302407696435769, 0.01846774200021173, 1795535063.931137);
INSERT INTO public.tw_reports VALUES (2, 2, 1, 1.3260738452275593, 0.03873496370941299, 0.6072423398328691, 1.195570140386575, 0.1849988629937333, 0.30362116991643456, 2.302407696435769, 0.017723035998642445, 1795535063.956606);
INSERT INTO public.tw_reports VALUES (2, 3, 1, 0.9670539895693461, 0.015385437589347227, 0.7576601671309192, 1.0090697465867737, 0.28744203289915515, 0.3008356545961003, 2.302407696435769, 0.008990423997602193, 1795535063.987323);
INSERT INTO public.tw_reports VALUES (2, 4, 1, 0.8469294508298238, 0.0010484921460762338, 0.7771587743732591, 0.9773350332853592, 0.30074824265285555, 0.28969359331476324, 2.302407696435769, 0.01442392700118944, 1795535064.024049);
INSERT INTO public.tw_reports VALUES (3, 1, 1, 0.8812754154205322, 0.001217044294642067, 0.1615598885793872, 2.280226129539483, 0.02266186285855862, 0.022284122562674095, 2.301542042969875, 0.020177510999928927, 1795535064.390742);
INSERT INTO public.tw_reports VALUES (3, 2, 1, 0.8691498041152954, 0.0008210169774332703, 0.16434540389972144, 2.261351699410565, 0.05079779652629341, 0.03899721448467967, 2.301542042969875, 0.010499976000573952, 1795535064.419902);
INSERT INTO public.tw_reports VALUES (3, 3, 1, 0.8605099320411682, 0.0003261060359022474, 0.17270194986072424, 2.2523929664033084, 0.047520447546370595, 0.05013927576601671, 2.301542042969875, 0.008812371001113206, 1795535064.437386);
INSERT INTO public.tw_reports VALUES (3, 4, 1, 0.8584622542063395, 2.2223587431033067e-05, 0.17270194986072424, 2.250567416394273, 0.0456731371583093, 0.052924791086350974, 2.301542042969875, 0.01545145400086767, 1795535064.468642);
INSERT INTO public.tw_reports VALUES (4, 1, 1, 2.27669366200765, 0.16813236230837944, 0.2646239554317549, 2.154680803602802, 0.1148137349318977, 0.2924791086350975, 2.2725834627325843, 0.031342894999397686, 1795535064.767808);
INSERT INTO public.tw_reports VALUES (4, 2, 1, 2.0134188334147134, 0.11342193913471213, 0.42896935933147634, 1.8393502259044197, 0.18490820006070843, 0.39275766016713093, 2.2725834627325843, 0.015140701998461736, 1795535064.795347);
INSERT INTO public.tw_reports VALUES (4, 3, 1, 1.6925885279973347, 0.04505093070206722, 0.5153203342618384, 1.6134812627756985, 0.24542703537882404, 0.3788300835654596, 2.2725834627325843, 0.01312093299929984, 1795535064.820509);
INSERT INTO public.tw_reports VALUES (4, 4, 1, 1.460524280865987, 0.003070146477162777, 0.5348189415041783, 1.5524782526941519, 0.24795757636704518, 0.3565459610027855, 2.2725834627325843, 0.00645733300189022, 1795535064.845491);
INSERT INTO public.tw_reports VALUES (5, 1, 1, 1.077450116475423, 0.28273751443890566, 0.32590529247910865, 2.1746963379920388, 0.1956681559707421, 0.3788300835654596, 2.2725834627325843, 0.01296883799659554, 1795535065.142204);
INSERT INTO public.tw_reports VALUES (5, 2, 1, 0.9604407151540121, 0.1907344708270426, 0.3064066852367688, 1.9727406348158163, 0.1549827749493443, 0.5348189415041783, 2.2725834627325843, 0.013605813001049682, 1795535065.168556);
INSERT INTO public.tw_reports VALUES (5, 3, 1, 0.8737864096959432, 0.07575928866388769, 0.4568245125348189, 1.8084967903780624, 0.26106701310012975, 0.40947075208913647, 2.2725834627325843, 0.013818742001603823, 1795535065.194204);
INSERT INTO public.tw_reports VALUES (5, 4, 1, 0.8233449856440226, 0.005162870324299869, 0.49025069637883006, 1.7681122612377749, 0.2848408409493115, 0.3732590529247911, 2.2725834627325843, 0.004994778999389382, 1795535065.223168);
INSERT INTO public.tw_reports VALUES (6, 1, 1, 1.282153606414795, 0.05539733753389017, 0.1309192200557103, 2.2921560559406475, 0.02675322669731418, 0.033426183844011144, 2.3007028815860835, 0.009034697999595664, 1795535065.591161);
INSERT INTO public.tw_reports VALUES (6, 2, 1, 1.234856128692627, 0.037370993660753714, 0.21448467966573817, 2.230531352604864, 0.08688872225624765, 0.06406685236768803, 2.3007028815860835, 0.0048760570025478955, 1795535065.60683);
INSERT INTO public.tw_reports VALUES (6, 3, 1, 1.1943979263305664, 0.0148436718550402, 0.2646239554317549, 2.193264557092945, 0.13534945527767234, 0.10027855153203342, 2.3007028815860835, 0.013590545000624843, 1795535065.630876);
INSERT INTO public.tw_reports VALUES (6, 4, 1, 1.1784289280573528, 0.0010115717065934176, 0.3008356545961003, 2.1845850134733626, 0.17075069474100166, 0.10306406685236769, 2.3007028815860835, 0.016086735999124357, 1795535065.659881);
INSERT INTO public.tw_reports VALUES (7, 1, 1, 1.8990121682484944, 0.05741923478012386, 0.35376044568245124, 1.7949087630655818, 0.1466719432035921, 0.18384401114206128, 2.302407696435769, 0.011781981000240194, 1795535065.869199);
INSERT INTO public.tw_reports VALUES (7, 2, 1, 1.4125338395436604, 0.03873496370941299, 0.6100278551532033, 1.3202551906717157, 0.242668221770872, 0.21448467966573817, 2.302407696435769, 0.013612475002446445, 1795535065.900627);
INSERT INTO public.tw_reports VALUES (7, 3, 1, 1.1065570712089539, 0.015385437589347227, 0.6406685236768802, 1.1437332112376917, 0.18842094207768975, 0.2479108635097493, 2.302407696435769, 0.011680521001835587, 1795535065.930975);
INSERT INTO public.tw_reports VALUES (7, 4, 1, 1.0039263765017192, 0.0010484921460762338, 0.6768802228412256, 1.0860632150433385, 0.2096524220086869, 0.2646239554317549, 2.302407696435769, 0.016615638000075705, 1795535065.964057);
INSERT INTO public.tw_reports VALUES (8, 1, 1, 1.7468256950378418, 0.0007513422641257355, 0.12813370473537605, 2.311376484682801, 0.02139348551569322, 0.15877437325905291, 2.2902455149741527, 0.01899322900135303, 1795535066.044681);
INSERT INTO public.tw_reports VALUES (8, 2, 1, 1.7256717681884766, 0.0005068548099901337, 0.1309192200557103, 2.2984430192821286, 0.027218762481902123, 0.14484679665738162, 2.2902455149741527, 0.008157882999512367, 1795535066.067086);
INSERT INTO public.tw_reports VALUES (8, 3, 1, 1.720864733060201, 0.00020132155291186217, 0.13370473537604458, 2.292122646953299, 0.03380140861595965, 0.14484679665738162, 2.2902455149741527, 0.008794146997388452, 1795535066.091432);
INSERT INTO public.tw_reports VALUES (8, 4, 1, 1.7163186073303223, 1.3719731131346673e-05, 0.13370473537604458, 2.2908605634217456, 0.03466483181586378, 0.14484679665738162, 2.2902455149741527, 0.010336160001315875, 1795535066.118465);
INSERT INTO public.tw_reports VALUES (9, 1, 1, 2.0555837154388428, 0.05741923478012386, 0.27298050139275765, 1.9377504880311072, 0.08230308099074962, 0.055710306406685235, 2.302407696435769, 0.018206101998657687, 1795535066.205802);
INSERT INTO public.tw_reports VALUES (9, 2, 1, 1.6145023902257283, 0.03873496370941299, 0.49303621169916434, 1.7837752524083355, 0.2421260346455649, 0.2116991643454039, 2.302407696435769, 0.014503546997730155, 1795535066.230494);
INSERT INTO public.tw_reports VALUES (9, 3, 1, 1.4643527666727703, 0.015385437589347227, 0.5877437325905293, 1.627924517228889, 0.2954698428905859, 0.25348189415041783, 2.302407696435769, 0.016308032001688844, 1795535066.255845);
INSERT INTO public.tw_reports VALUES (9, 4, 1, 1.3265153566996257, 0.0010484921460762338, 0.5988857938718662, 1.5765764029495084, 0.28647885999292616, 0.25348189415041783, 2.302407696435769, 0.017395771999872522, 1795535066.283039);
INSERT INTO public.tw_reports VALUES (10, 1, 1, 1.738714615503947, 0.0007513422641257355, 0.03064066852367688, 2.2941328899700344, 0.11143278475980307, 0.07242339832869081, 2.2902455149741527, 0.01289366700075334, 1795535066.384302);
INSERT INTO public.tw_reports VALUES (10, 2, 1, 1.7109380960464478, 0.0005068548099901337, 0.055710306406685235, 2.2755125188418597, 0.08298101774337145, 0.11977715877437325, 2.2902455149741527, 0.019065784003032604, 1795535066.426899);
INSERT INTO public.tw_reports VALUES (10, 3, 1, 1.6995866298675537, 0.00020132155291186217, 0.08356545961002786, 2.2663185664781227, 0.05467565398989928, 0.14206128133704735, 2.2902455149741527, 0.029301716000190936, 1795535066.49664);
INSERT INTO public.tw_reports VALUES (10, 4, 1, 1.6939574480056763, 1.3719731131346673e-05, 0.08635097493036212, 2.264440757302441, 0.05436752924344049, 0.15041782729805014, 2.2902455149741527, 0.02513256500242278, 1795535066.541276);
INSERT INTO public.tw_reports VALUES (11, 1, 1, 2.0212467511494956, 0.05741923478012386, 0.40668523676880225, 1.8407094458279285, 0.1912116517660017, 0.1392757660167131, 2.302407696435769, 0.01728644700051518, 1795535066.723127);
INSERT INTO public.tw_reports VALUES (11, 2, 1, 1.562180479367574, 0.03873496370941299, 0.5487465181058496, 1.5466444711861898, 0.23202057395746914, 0.21727019498607242, 2.302407696435769, 0.012803246998373652, 1795535066.761163);
INSERT INTO public.tw_reports VALUES (11, 3, 1, 1.3125371932983398, 0.015385437589347227, 0.5626740947075209, 1.4041698537129412, 0.2108412083922423, 0.23119777158774374, 2.302407696435769, 0.033365829000103986, 1795535066.822961);
INSERT INTO public.tw_reports VALUES (11, 4, 1, 1.248290737469991, 0.0010484921460762338, 0.5766016713091922, 1.3728022450057151, 0.2030568449132451, 0.22562674094707522, 2.302407696435769, 0.004912485997920157, 1795535066.868147);
INSERT INTO public.tw_reports VALUES (12, 1, 1, 2.3349175453186035, 0.16813236230837944, 0.16434540389972144, 2.1224320568497728, 0.03524853521686929, 0.03899721448467967, 2.2725834627325843, 0.0130871000001207, 1795535067.014821);
INSERT INTO public.tw_reports VALUES (12, 2, 1, 2.0113445123036704, 0.11342193913471213, 0.40668523676880225, 1.84024305443827, 0.20593531581794078, 0.13649025069637882, 2.2725834627325843, 0.004531400998530444, 1795535067.046856);
INSERT INTO public.tw_reports VALUES (12, 3, 1, 1.700421134630839, 0.04505093070206722, 0.5292479108635098, 1.617491982551252, 0.26817210558362947, 0.13649025069637882, 2.2725834627325843, 0.0046415270007855725, 1795535067.066427);
INSERT INTO public.tw_reports VALUES (12, 4, 1, 1.5270278453826904, 0.003070146477162777, 0.5515320334261838, 1.559250590971072, 0.27615285977827375, 0.14763231197771587, 2.2725834627325843, 0.0050365480019536335, 1795535067.111922);
INSERT INTO public.tw_reports VALUES (13, 1, 1, 2.3112284342447915, 0.05741923478012386, 0.43454038997214484, 1.81197161102955, 0.21665926329654075, 0.13370473537604458, 2.2725834627325843, 0.01098039700082154, 1795535067.207989);
INSERT INTO public.tw_reports VALUES (13, 2, 1, 1.7242366472880046, 0.03873496370941299, 0.4958217270194986, 1.471351093815054, 0.14328971734946294, 0.19498607242339833, 2.2725834627325843, 0.014086744999076473, 1795535067.252773);
INSERT INTO public.tw_reports VALUES (13, 3, 1, 1.3611992200215657, 0.015385437589347227, 0.5376044568245125, 1.3121210933884515, 0.15687486855270097, 0.19498607242339833, 2.2725834627325843, 0.013805137001327239, 1795535067.298521);
INSERT INTO public.tw_reports VALUES (13, 4, 1, 1.2512115637461345, 0.0010484921460762338, 0.5793871866295265, 1.2703329793295266, 0.17288394656679826, 0.19498607242339833, 2.2725834627325843, 0.022388718000001973, 1795535067.333978);
INSERT INTO public.tw_reports VALUES (14, 1, 1, 1.1010780334472656, 0.28273751443890566, 0.19220055710306408, 2.181730926828387, 0.05842521454447689, 0.17827298050139276, 2.2725834627325843, 0.004399863999424269, 1795535067.458842);
INSERT INTO public.tw_reports VALUES (14, 2, 1, 0.9843573570251465, 0.1907344708270426, 0.30919220055710306, 2.045307588683081, 0.1727978495551121, 0.3342618384401114, 2.2725834627325843, 0.004785367000295082, 1795535067.494507);
INSERT INTO public.tw_reports VALUES (14, 3, 1, 0.9183412988980612, 0.07575928866388769, 0.4986072423398329, 1.906858381848747, 0.32497985258408457, 0.2479108635097493, 2.2725834627325843, 0.014975230998970801, 1795535067.535708);
INSERT INTO public.tw_reports VALUES (14, 4, 1, 0.8785318533579508, 0.005162870324299869, 0.5153203342618384, 1.8728013084553086, 0.34150485790620644, 0.2479108635097493, 2.2725834627325843, 0.013242211000033421, 1795535067.562444);
INSERT INTO public.tw_reports VALUES (15, 1, 1, 2.0184638500213623, 0.05741923478012386, 0.3788300835654596, 1.839977577793523, 0.1627364846755372, 0.1392757660167131, 2.2725834627325843, 0.017038821999449283, 1795535067.642806);
INSERT INTO public.tw_reports VALUES (15, 2, 1, 1.5650422970453899, 0.03873496370941299, 0.5431754874651811, 1.548099845956687, 0.22907781984787845, 0.21448467966573817, 2.2725834627325843, 0.013043416998698376, 1795535067.680562);
INSERT INTO public.tw_reports VALUES (15, 3, 1, 1.3102326393127441, 0.015385437589347227, 0.5487465181058496, 1.4011121859910005, 0.18305803553628516, 0.23119777158774374, 2.2725834627325843, 0.013114409997797338, 1795535067.702761);
INSERT INTO public.tw_reports VALUES (15, 4, 1, 1.2417587439219158, 0.0010484921460762338, 0.5710306406685237, 1.366998987963932, 0.19724516852171634, 0.233983286908078, 2.2725834627325843, 0.012935315000504488, 1795535067.724467);
INSERT INTO public.tw_reports VALUES (16, 1, 1, 1.3323666254679363, 0.05539733753389017, 0.07799442896935933, 2.3259383767536352, 0.06893711283120685, 0.052924791086350974, 2.3007028815860835, 0.0060175580001669005, 1795535067.791549);
INSERT INTO public.tw_reports VALUES (16, 2, 1, 1.2451116641362507, 0.037370993660753714, 0.06406685236768803, 2.2284312094527823, 0.07177078147992165, 0.04178272980501393, 2.3007028815860835, 0.013083874000585638, 1795535067.815593);
INSERT INTO public.tw_reports VALUES (16, 3, 1, 1.19128413995107, 0.0148436718550402, 0.12256267409470752, 2.185359906953249, 0.025105899116097178, 0.0807799442896936, 2.3007028815860835, 0.012607730001036543, 1795535067.839555);
INSERT INTO public.tw_reports VALUES (16, 4, 1, 1.17618989944458, 0.0010115717065934176, 0.14206128133704735, 2.176248976276673, 0.03225031953175846, 0.10306406685236769, 2.3007028815860835, 0.0165592529992864, 1795535067.868584);
INSERT INTO public.tw_reports VALUES (17, 1, 1, 2.0208350817362466, 0.05741923478012386, 0.3871866295264624, 1.8391869013643012, 0.17367316437113747, 0.13370473537604458, 2.3007028815860835, 0.013146981000318192, 1795535068.037536);
INSERT INTO public.tw_reports VALUES (17, 2, 1, 1.5630544026692708, 0.03873496370941299, 0.5459610027855153, 1.5495728670786644, 0.23214380780730848, 0.21448467966573817, 2.3007028815860835, 0.008735356001125183, 1795535068.077383);
INSERT INTO public.tw_reports VALUES (17, 3, 1, 1.3150531848271687, 0.015385437589347227, 0.5543175487465181, 1.4068581482206641, 0.19594406759889685, 0.22841225626740946, 2.3007028815860835, 0.013363838999794098, 1795535068.103526);
INSERT INTO public.tw_reports VALUES (17, 4, 1, 1.2508522669474285, 0.0010484921460762338, 0.5738161559888579, 1.3755340126634386, 0.20193012936499583, 0.22562674094707522, 2.3007028815860835, 0.01343251800062717, 1795535068.14653);
INSERT INTO public.tw_reports VALUES (18, 1, 1, 1.9059986273447673, 0.05741923478012386, 0.46518105849582175, 1.7207485037142773, 0.2202039576264905, 0.17827298050139276, 2.302407696435769, 0.020403744998475304, 1795535068.245185);
INSERT INTO public.tw_reports VALUES (18, 2, 1, 1.3389363686243694, 0.03873496370941299, 0.6573816155988857, 1.2359660102399772, 0.25029259419101596, 0.2646239554317549, 2.302407696435769, 0.013400948999333195, 1795535068.266754);
INSERT INTO public.tw_reports VALUES (18, 3, 1, 1.0613798300425212, 0.015385437589347227, 0.6880222841225627, 1.0613908886159826, 0.20937232751245033, 0.28133704735376047, 2.302407696435769, 0.0174802900000941, 1795535068.302911);
INSERT INTO public.tw_reports VALUES (18, 4, 1, 0.9242649078369141, 0.0010484921460762338, 0.7214484679665738, 1.0255795409388009, 0.24197185576023034, 0.2757660167130919, 2.302407696435769, 0.02327508000234957, 1795535068.334433);
INSERT INTO public.tw_reports VALUES (19, 1, 1, 2.2731450398763022, 0.16813236230837944, 0.28133704735376047, 2.151266283619923, 0.1338342597089859, 0.20334261838440112, 2.2725834627325843, 0.025078865000978112, 1795535068.447168);
INSERT INTO public.tw_reports VALUES (19, 2, 1, 2.056159734725952, 0.11342193913471213, 0.3593314763231198, 1.858254538577759, 0.205576239784069, 0.20055710306406685, 2.2725834627325843, 0.024404047999269096, 1795535068.519511);
INSERT INTO public.tw_reports VALUES (19, 3, 1, 1.7745431264241536, 0.04505093070206722, 0.42896935933147634, 1.6118465093814034, 0.1835954103068671, 0.20334261838440112, 2.2725834627325843, 0.021662885999830905, 1795535068.568657);
INSERT INTO public.tw_reports VALUES (19, 4, 1, 1.5229120254516602, 0.003070146477162777, 0.5459610027855153, 1.535686315491178, 0.2664058107638394, 0.23119777158774374, 2.2725834627325843, 0.02181048400234431, 1795535068.611804);
INSERT INTO public.tw_reports VALUES (20, 1, 1, 2.1773900985717773, 0.05741923478012386, 0.4735376044568245, 1.6761982333615697, 0.20811024971109046, 0.181058495821727, 2.2725834627325843, 0.017153968001366593, 1795535068.72569);
INSERT INTO public.tw_reports VALUES (20, 2, 1, 1.4416587352752686, 0.03873496370941299, 0.6713091922005571, 1.1840098101636454, 0.2310932163421408, 0.25348189415041783, 2.2725834627325843, 0.00535313100044732, 1795535068.754127);
INSERT INTO public.tw_reports VALUES (20, 3, 1, 1.0138271848360698, 0.015385437589347227, 0.7298050139275766, 0.9759032709042593, 0.2073442362885367, 0.26740947075208915, 2.2725834627325843, 0.012830387997382786, 1795535068.795691);
INSERT INTO public.tw_reports VALUES (20, 4, 1, 0.7877521912256876, 0.0010484921460762338, 0.7493036211699164, 0.9385705070076853, 0.21143700922328082, 0.27298050139275765, 2.2725834627325843, 0.01578138399781892, 1795535068.826756);
INSERT INTO public.tw_reports VALUES (21, 1, 1, 1.055551290512085, 0.28273751443890566, 0.233983286908078, 2.200603672329814, 0.11515183088790296, 0.4596100278551532, 2.2725834627325843, 0.025675422999484, 1795535068.898856);
INSERT INTO public.tw_reports VALUES (21, 2, 1, 0.9842541615168253, 0.1907344708270426, 0.35097493036211697, 2.011148113400729, 0.182065364920585, 0.4206128133704735, 2.2725834627325843, 0.012932789999467786, 1795535068.932705);
INSERT INTO public.tw_reports VALUES (21, 3, 1, 0.9180081288019816, 0.07575928866388769, 0.38997214484679665, 1.8646884902303267, 0.1887368947048649, 0.34540389972144847, 2.2725834627325843, 0.0057409590008319356, 1795535068.946831);
INSERT INTO public.tw_reports VALUES (21, 4, 1, 0.8635909557342529, 0.005162870324299869, 0.3955431754874652, 1.8273729710610016, 0.1894301696394255, 0.32590529247910865, 2.2725834627325843, 0.03471004199673189, 1795535068.994837);
INSERT INTO public.tw_reports VALUES (22, 1, 1, 1.9046616951624553, 0.05741923478012386, 0.467966573816156, 1.7181398801052208, 0.2219669484303491, 0.17827298050139276, 2.2725834627325843, 0.0207531400010339, 1795535069.07853);
INSERT INTO public.tw_reports VALUES (22, 2, 1, 1.334357460339864, 0.03873496370941299, 0.6657381615598886, 1.2275983396775847, 0.2584056528060584, 0.2757660167130919, 2.2725834627325843, 0.0173902310016274, 1795535069.105837);
INSERT INTO public.tw_reports VALUES (22, 3, 1, 1.0419543981552124, 0.015385437589347227, 0.7047353760445683, 1.0507522399912599, 0.21645314194440748, 0.2841225626740947, 2.2725834627325843, 0.015569135000987444, 1795535069.13573);
INSERT INTO public.tw_reports VALUES (22, 4, 1, 0.8946136832237244, 0.0010484921460762338, 0.7186629526462396, 1.0136700145748243, 0.22887315695741248, 0.2841225626740947, 2.2725834627325843, 0.013003682000999106, 1795535069.165335);
INSERT INTO public.tw_reports VALUES (23, 1, 1, 1.2492245435714722, 0.05539733753389017, 0.12256267409470752, 2.2638315540806184, 0.05460991565752626, 0.2785515320334262, 2.3007028815860835, 0.01919031800207449, 1795535069.286858);
INSERT INTO public.tw_reports VALUES (23, 2, 1, 1.2234397729237874, 0.037370993660753714, 0.181058495821727, 2.223754650960077, 0.04914844676266255, 0.31754874651810583, 2.3007028815860835, 0.013354991999221966, 1795535069.316737);
INSERT INTO public.tw_reports VALUES (23, 3, 1, 1.2073072989781697, 0.0148436718550402, 0.23676880222841226, 2.195353229469358, 0.09533911237920294, 0.34540389972144847, 2.3007028815860835, 0.02142228499724297, 1795535069.344995);
INSERT INTO public.tw_reports VALUES (23, 4, 1, 1.1900254885355632, 0.0010115717065934176, 0.25348189415041783, 2.1881156256069114, 0.11138467792012065, 0.35097493036211697, 2.3007028815860835, 0.017089527998905396, 1795535069.375598);
INSERT INTO public.tw_reports VALUES (24, 1, 1, 1.905817190806071, 0.05741923478012386, 0.46518105849582175, 1.7206158651338546, 0.22015560387123892, 0.17827298050139276, 2.3007028815860835, 0.05588674499813351, 1795535069.50375);
INSERT INTO public.tw_reports VALUES (24, 2, 1, 1.3390092849731445, 0.03873496370941299, 0.6629526462395543, 1.2354359358717684, 0.2566678557628375, 0.2646239554317549, 2.3007028815860835, 0.013062191999779316, 1795535069.532541);
INSERT INTO public.tw_reports VALUES (24, 3, 1, 1.0606550375620525, 0.015385437589347227, 0.6908077994428969, 1.059911804732067, 0.20925151364257236, 0.2841225626740947, 2.3007028815860835, 0.017511619000288192, 1795535069.563679);
INSERT INTO public.tw_reports VALUES (24, 4, 1, 0.9226334492365519, 0.0010484921460762338, 0.7186629526462396, 1.0238429074867195, 0.2360317413267748, 0.2841225626740947, 2.3007028815860835, 0.008214479003072483, 1795535069.588642);
INSERT INTO public.tw_reports VALUES (25, 1, 1, 1.7595993677775066, 0.0007915664805161017, 0.18384401114206128, 2.314130987308587, 0.03642417332618418, 0.027855153203342618, 2.2902455149741527, 0.029315160998521606, 1795535126.0711);
INSERT INTO public.tw_reports VALUES (25, 2, 1, 1.738362232844035, 0.0007220813587742131, 0.2116991643454039, 2.292614188352841, 0.06858103906656803, 0.05013927576601671, 2.2902455149741527, 0.02401288500186638, 1795535126.147117);
INSERT INTO public.tw_reports VALUES (25, 3, 1, 1.726862907409668, 0.0006039646587355863, 0.24233983286908078, 2.276307411739997, 0.10190704636724754, 0.06685236768802229, 2.2902455149741527, 0.024793397999019362, 1795535126.526559);
INSERT INTO public.tw_reports VALUES (25, 4, 1, 1.7182104190190632, 0.0004551985772505503, 0.2562674094707521, 2.2644686646926493, 0.11736638100280693, 0.08913649025069638, 2.2902455149741527, 0.028378663999319542, 1795535126.598869);
INSERT INTO public.tw_reports VALUES (25, 5, 1, 1.6955761512120564, 0.0002984314016573147, 0.2562674094707521, 2.25669027077699, 0.11809826115720722, 0.10863509749303621, 2.2902455149741527, 0.023065187997417524, 1795535126.667403);
INSERT INTO public.tw_reports VALUES (25, 6, 1, 1.6983799934387207, 0.00015752951334196432, 0.2618384401114206, 2.252383198880627, 0.12403344590393266, 0.11420612813370473, 2.2902455149741527, 0.01366981299725012, 1795535126.728668);
INSERT INTO public.tw_reports VALUES (25, 7, 1, 1.68353271484375, 5.394394752171296e-05, 0.2646239554317549, 2.250612978569667, 0.1269054380926044, 0.11142061281337047, 2.2902455149741527, 0.030218616000638576, 1795535127.091316);
INSERT INTO public.tw_reports VALUES (25, 8, 1, 1.6877952814102173, 3.4446675872014965e-06, 0.2646239554317549, 2.2502855685069973, 0.1269201421837571, 0.11142061281337047, 2.2902455149741527, 0.06019338400074048, 1795535127.213391);
INSERT INTO public.tw_reports VALUES (26, 1, 1, 1.992308259010315, 0.06049325821131265, 0.479108635097493, 1.6698340235348181, 0.19810047027917224, 0.2757660167130919, 2.302407696435769, 0.028751103000104195, 1795535128.395239);
INSERT INTO public.tw_reports VALUES (26, 2, 1, 1.3204448620478313, 0.055183051785396335, 0.6406685236768802, 1.134802968820865, 0.18538108704432033, 0.29526462395543174, 2.302407696435769, 0.021809400997881312, 1795535128.499282);
INSERT INTO public.tw_reports VALUES (26, 3, 1, 0.9389061331748962, 0.04615631276804166, 0.7994428969359332, 0.900900595882937, 0.2692169879559765, 0.25069637883008355, 2.302407696435769, 0.025462754001637222, 1795535128.827222);
INSERT INTO public.tw_reports VALUES (26, 4, 1, 0.8042994737625122, 0.03478728034704793, 0.7910863509749304, 0.7539690202677596, 0.1870353346356209, 0.2395543175487465, 2.302407696435769, 0.0377717749979638, 1795535128.901455);
INSERT INTO public.tw_reports VALUES (26, 5, 1, 0.6722796559333801, 0.02280678664797589, 0.7799442896935933, 0.699826766667929, 0.12532261297544656, 0.2618384401114206, 2.302407696435769, 0.02755748399795266, 1795535128.971705);
INSERT INTO public.tw_reports VALUES (26, 6, 1, 0.6362368067105612, 0.012038753233063441, 0.7827298050139275, 0.6800266207016766, 0.11153665627201807, 0.2590529247910863, 2.302407696435769, 0.0469958180001413, 1795535129.050666);
INSERT INTO public.tw_reports VALUES (26, 7, 1, 0.5962343215942383, 0.004122515577265025, 0.7966573816155988, 0.6667238382794447, 0.12042096061803713, 0.2562674094707521, 2.302407696435769, 0.02625344800253515, 1795535129.343037);
INSERT INTO public.tw_reports VALUES (26, 8, 1, 0.5736682812372843, 0.0002632491028029082, 0.7994428969359332, 0.6634552895224457, 0.1219212524462606, 0.25348189415041783, 2.302407696435769, 0.044964156000787625, 1795535129.438564);
INSERT INTO public.tw_reports VALUES (27, 1, 1, 0.8812550107638041, 0.0012822005561779557, 0.1615598885793872, 2.2796728503307246, 0.024217272018858274, 0.025069637883008356, 2.301542042969875, 0.01714178499969421, 1795535130.518537);
INSERT INTO public.tw_reports VALUES (27, 2, 1, 0.8683321277300516, 0.0011696466975488569, 0.16991643454038996, 2.2562782618509165, 0.04918546648773408, 0.04735376044568245, 2.301542042969875, 0.036027742997248424, 1795535130.606568);
INSERT INTO public.tw_reports VALUES (27, 3, 1, 0.8569684823354086, 0.0009783181077067417, 0.1977715877437326, 2.2374041109669784, 0.06161523272984058, 0.06963788300835655, 2.301542042969875, 0.017468499001552118, 1795535130.958884);
INSERT INTO public.tw_reports VALUES (27, 4, 1, 0.8492974440256754, 0.0007373428300570861, 0.20891364902506965, 2.2233158607649757, 0.07298177862363267, 0.11420612813370473, 2.301542042969875, 0.013578822999988915, 1795535131.011236);
INSERT INTO public.tw_reports VALUES (27, 5, 1, 0.8406997124354044, 0.0004834071661757186, 0.21727019498607242, 2.213326533667953, 0.08115872552240434, 0.12256267409470752, 2.301542042969875, 0.013689088998944499, 1795535131.06347);
INSERT INTO public.tw_reports VALUES (27, 6, 1, 0.8378891547520956, 0.00025517051895605205, 0.22562674094707522, 2.2074037804588125, 0.08926813615614869, 0.12813370473537605, 2.301542042969875, 0.023991876001673518, 1795535131.119506);
INSERT INTO public.tw_reports VALUES (27, 7, 1, 0.8364013036092123, 8.73798489669218e-05, 0.23119777158774374, 2.204832274039285, 0.09468929464120557, 0.13649025069637882, 2.301542042969875, 0.03350068199870293, 1795535131.435763);
INSERT INTO public.tw_reports VALUES (27, 8, 1, 0.8337973952293396, 5.579764687961787e-06, 0.23119777158774374, 2.204348999534043, 0.09466191137813125, 0.13649025069637882, 2.301542042969875, 0.016830321001179982, 1795535131.48926);
INSERT INTO public.tw_reports VALUES (28, 1, 1, 1.587410807609558, 0.10123400415319968, 0.11977715877437325, 2.2497789135745276, 0.026218853507924134, 0.14206128133704735, 2.300590419062641, 0.043106060998979956, 1795535132.574489);
INSERT INTO public.tw_reports VALUES (28, 2, 1, 1.498644471168518, 0.09234750216486687, 0.33147632311977715, 2.101652296217535, 0.16933213077942835, 0.34818941504178275, 2.300590419062641, 0.018838599000446266, 1795535132.631272);
INSERT INTO public.tw_reports VALUES (28, 3, 1, 1.3797901471455891, 0.07724147279576532, 0.39275766016713093, 1.923646428222381, 0.1957871581589289, 0.42618384401114207, 2.300590419062641, 0.04207819200019003, 1795535132.976996);
INSERT INTO public.tw_reports VALUES (28, 4, 1, 1.255938728650411, 0.05821567208084352, 0.43454038997214484, 1.7457561879263461, 0.18412557158002582, 0.4735376044568245, 2.300590419062641, 0.017921187998581445, 1795535133.023991);
INSERT INTO public.tw_reports VALUES (28, 5, 1, 1.1637413899103801, 0.03816660570963534, 0.532033426183844, 1.611097934204082, 0.25060106497607504, 0.3649025069637883, 2.300590419062641, 0.026988094999978784, 1795535133.05956);
INSERT INTO public.tw_reports VALUES (28, 6, 1, 1.1118022203445435, 0.020146562291918, 0.5877437325905293, 1.5343772974966488, 0.29838815619894865, 0.32590529247910865, 2.300590419062641, 0.020999181000661338, 1795535133.104971);
INSERT INTO public.tw_reports VALUES (28, 7, 1, 1.067323923110962, 0.006898930085938614, 0.6072423398328691, 1.5009859282572178, 0.3107488746519994, 0.3147632311977716, 2.300590419062641, 0.015024634001747472, 1795535133.352305);
INSERT INTO public.tw_reports VALUES (28, 8, 1, 1.038795014222463, 0.00044054100497255093, 0.6072423398328691, 1.4943941512903272, 0.3099664100138393, 0.3147632311977716, 2.300590419062641, 0.021262735997879645, 1795535133.416227);
INSERT INTO public.tw_reports VALUES (29, 1, 1, 1.7649637460708618, 0.07872357212160383, 0.18384401114206128, 2.252206268561342, 0.054322146564638366, 0.05013927576601671, 2.2991421284026385, 0.03157433900196338, 1795535134.19853);
INSERT INTO public.tw_reports VALUES (29, 2, 1, 1.645888368288676, 0.07181307612730721, 0.4568245125348189, 2.1092463790910396, 0.3246937421916335, 0.233983286908078, 2.2991421284026385, 0.03591375999894808, 1795535134.282575);
INSERT INTO public.tw_reports VALUES (29, 3, 1, 1.5281171798706055, 0.06006602924857378, 0.5403899721448467, 1.948664806371716, 0.38120745103201187, 0.362116991643454, 2.2991421284026385, 0.01782972600267385, 1795535134.544059);
INSERT INTO public.tw_reports VALUES (29, 4, 1, 1.3913246790568035, 0.04527081288544558, 0.5376044568245125, 1.7731462979828894, 0.3385031695727817, 0.3593314763231198, 2.2991421284026385, 0.01752888099872507, 1795535134.614608);
INSERT INTO public.tw_reports VALUES (29, 5, 1, 1.2620794375737507, 0.029679864610238558, 0.5710306406685237, 1.6203707520047212, 0.32863179078062216, 0.33147632311977715, 2.2991421284026385, 0.017278521998377983, 1795535134.677054);
INSERT INTO public.tw_reports VALUES (29, 6, 1, 1.1631300846735637, 0.015666764965554927, 0.6295264623955432, 1.5203649540398618, 0.35534336105270437, 0.3286908077994429, 2.2991421284026385, 0.017009227001835825, 1795535134.745319);
INSERT INTO public.tw_reports VALUES (29, 7, 1, 1.113506277402242, 0.005364881343233177, 0.649025069637883, 1.4746555970792234, 0.3632591922042246, 0.3231197771587744, 2.2991421284026385, 0.03910015700239455, 1795535134.971638);
INSERT INTO public.tw_reports VALUES (29, 8, 1, 1.089680512746175, 0.0003425821379642059, 0.6518105849582173, 1.4653651951772129, 0.3642499910152528, 0.31754874651810583, 2.2991421284026385, 0.03317886899822042, 1795535135.024269);

INSERT INTO public.tw_trials VALUES (2, 'b9b7ff15c58d7f78', 1, 'search', 'joint', NULL, 0, NULL, '{"temperature": 13.013974260146682, "kd_weight": 0.13652447001534213, "label_weight": 0.8634755299846579, "optimizer": {"name": "adamw", "learning_rate": 0.06154175035738888, "weight_decay": 0.0002524784349244705, "momentum": 0.0, "nesterov": false}, "student_temperature": null}', 1269613611, 'completed', 1, 0, 'vm-4916-cc8bb5', 1, true, 0.7771587743732591, 4, '{"accuracy": 0.7771587743732591, "nll": 0.9773350332853592, "ece": 0.30074824265285555, "teacher_agreement": 0.28969359331476324, "teacher_entropy": 2.302407696435769}', NULL, NULL, 1795535063.613318, 1795535063.620308, 1795535064.048278, 0.059605128997645807);
INSERT INTO public.tw_trials VALUES (1, 'b9b7ff15c58d7f78', 0, 'search', 'joint', NULL, 0, NULL, '{"temperature": 1.562920105033025, "kd_weight": 0.2554259778792655, "label_weight": 0.7445740221207344, "optimizer": {"name": "adamw", "learning_rate": 0.0008052862116474484, "weight_decay": 0.008195476350213338, "momentum": 0.0, "nesterov": false}, "student_temperature": null}', 1032671637, 'completed', 1, 0, 'vm-4916-cc8bb5', 0, true, 0.22284122562674094, 4, '{"accuracy": 0.22284122562674094, "nll": 2.287520812567375, "ece": 0.08062033485775127, "teacher_agreement": 0.052924791086350974, "teacher_entropy": 2.2902455149741527}', NULL, NULL, 1795535062.209385, 1795535062.250216, 1795535063.468127, 0.11689231300260872);
INSERT INTO public.tw_trials VALUES (6, 'b9b7ff15c58d7f78', 5, 'baseline', 't4', NULL, 0, NULL, '{"temperature": 4.0, "kd_weight": 0.4640127232021781, "label_weight": 0.5359872767978219, "optimizer": {"name": "sgd", "learning_rate": 0.05937468742016077, "weight_decay": 0.0001425793241750811, "momentum": 0.9, "nesterov": false}, "student_temperature": null}', 1332844794, 'completed', 1, 0, 'vm-4916-cc8bb5', 0, true, 0.3008356545961003, 4, '{"accuracy": 0.3008356545961003, "nll": 2.1845850134733626, "ece": 0.17075069474100166, "teacher_agreement": 0.10306406685236769, "teacher_entropy": 2.3007028815860835}', NULL, NULL, 1795535065.39972, 1795535065.410381, 1795535065.674281, 0.04358803600189276);
INSERT INTO public.tw_trials VALUES (7, 'b9b7ff15c58d7f78', 6, 'select', 'joint', NULL, 0, 1, '{"temperature": 13.013974260146682, "kd_weight": 0.13652447001534213, "label_weight": 0.8634755299846579, "optimizer": {"name": "adamw", "learning_rate": 0.06154175035738888, "weight_decay": 0.0002524784349244705, "momentum": 0.0, "nesterov": false}, "student_temperature": null}', 692956099, 'completed', 1, 0, 'vm-4916-cc8bb5', NULL, true, 0.6768802228412256, 4, '{"accuracy": 0.6768802228412256, "nll": 1.0860632150433385, "ece": 0.2096524220086869, "teacher_agreement": 0.2646239554317549, "teacher_entropy": 2.302407696435769}', NULL, NULL, 1795535065.692764, 1795535065.826562, 1795535065.980253, 0.05369061500459793);
INSERT INTO public.tw_trials VALUES (3, 'b9b7ff15c58d7f78', 2, 'search', 'joint', NULL, 0, NULL, '{"temperature": 5.3713463196795885, "kd_weight": 0.6337973245817345, "label_weight": 0.36620267541826546, "optimizer": {"name": "adamw", "learning_rate": 0.0013044241436089888, "weight_decay": 1.1646004263227122e-06, "momentum": 0.0, "nesterov": false}, "student_temperature": null}', 1005909999, 'completed', 1, 0, 'vm-4916-cc8bb5', 2, true, 0.17270194986072424, 4, '{"accuracy": 0.17270194986072424, "nll": 2.250567416394273, "ece": 0.0456731371583093, "teacher_agreement": 0.052924791086350974, "teacher_entropy": 2.301542042969875}', NULL, NULL, 1795535064.156805, 1795535064.163906, 1795535064.490675, 0.054941312002483755);
INSERT INTO public.tw_trials VALUES (4, 'b9b7ff15c58d7f78', 3, 'baseline', 'label_only', NULL, 0, NULL, '{"temperature": 1.0, "kd_weight": 0.0, "label_weight": 1.0, "optimizer": {"name": "sgd", "learning_rate": 0.1802037228082688, "weight_decay": 2.786904447422134e-05, "momentum": 0.9, "nesterov": false}, "student_temperature": null}', 906288267, 'completed', 1, 0, 'vm-4916-cc8bb5', 0, true, 0.5348189415041783, 4, '{"accuracy": 0.5348189415041783, "nll": 1.5524782526941519, "ece": 0.24795757636704518, "teacher_agreement": 0.3565459610027855, "teacher_entropy": 2.2725834627325843}', NULL, NULL, 1795535064.592477, 1795535064.599817, 1795535064.862322, 0.06606186299904948);
INSERT INTO public.tw_trials VALUES (5, 'b9b7ff15c58d7f78', 4, 'baseline', 't1', NULL, 0, NULL, '{"temperature": 1.0, "kd_weight": 0.5474178378578122, "label_weight": 0.4525821621421878, "optimizer": {"name": "sgd", "learning_rate": 0.30303715465555064, "weight_decay": 5.915808020722575e-06, "momentum": 0.9, "nesterov": false}, "student_temperature": null}', 1217726061, 'completed', 1, 0, 'vm-4916-cc8bb5', 0, true, 0.49025069637883006, 4, '{"accuracy": 0.49025069637883006, "nll": 1.7681122612377749, "ece": 0.2848408409493115, "teacher_agreement": 0.3732590529247911, "teacher_entropy": 2.2725834627325843}', NULL, NULL, 1795535064.963148, 1795535064.964675, 1795535065.242448, 0.04538817199863843);
INSERT INTO public.tw_trials VALUES (8, 'b9b7ff15c58d7f78', 7, 'select', 'joint', NULL, 0, 0, '{"temperature": 1.562920105033025, "kd_weight": 0.2554259778792655, "label_weight": 0.7445740221207344, "optimizer": {"name": "adamw", "learning_rate": 0.0008052862116474484, "weight_decay": 0.008195476350213338, "momentum": 0.0, "nesterov": false}, "student_temperature": null}', 692956099, 'completed', 1, 0, 'vm-4916-cc8bb5', NULL, true, 0.13370473537604458, 4, '{"accuracy": 0.13370473537604458, "nll": 2.2908605634217456, "ece": 0.03466483181586378, "teacher_agreement": 0.14484679665738162, "teacher_entropy": 2.2902455149741527}', NULL, NULL, 1795535065.692764, 1795535066.007891, 1795535066.131548, 0.04628141899956972);
INSERT INTO public.tw_trials VALUES (9, 'b9b7ff15c58d7f78', 8, 'select', 'joint', NULL, 0, 1, '{"temperature": 13.013974260146682, "kd_weight": 0.13652447001534213, "label_weight": 0.8634755299846579, "optimizer": {"name": "adamw", "learning_rate": 0.06154175035738888, "weight_decay": 0.0002524784349244705, "momentum": 0.0, "nesterov": false}, "student_temperature": null}', 1092766357, 'completed', 1, 0, 'vm-4916-cc8bb5', NULL, true, 0.5988857938718662, 4, '{"accuracy": 0.5988857938718662, "nll": 1.5765764029495084, "ece": 0.28647885999292616, "teacher_agreement": 0.25348189415041783, "teacher_entropy": 2.302407696435769}', NULL, NULL, 1795535065.692764, 1795535066.16122, 1795535066.299022, 0.06641345299794921);
INSERT INTO public.tw_trials VALUES (10, 'b9b7ff15c58d7f78', 9, 'select', 'joint', NULL, 0, 0, '{"temperature": 1.562920105033025, "kd_weight": 0.2554259778792655, "label_weight": 0.7445740221207344, "optimizer": {"name": "adamw", "learning_rate": 0.0008052862116474484, "weight_decay": 0.008195476350213338, "momentum": 0.0, "nesterov": false}, "student_temperature": null}', 1092766357, 'completed', 1, 0, 'vm-4916-cc8bb5', NULL, true, 0.08635097493036212, 4, '{"accuracy": 0.08635097493036212, "nll": 2.264440757302441, "ece": 0.05436752924344049, "teacher_agreement": 0.15041782729805014, "teacher_entropy": 2.2902455149741527}', NULL, NULL, 1795535065.692764, 1795535066.355821, 1795535066.570589, 0.08639373200639966);
INSERT INTO public.tw_trials VALUES (12, 'b9b7ff15c58d7f78', 11, 'estimate', 'label_only', 'tuned', 0, 3, '{"temperature": 1.0, "kd_weight": 0.0, "label_weight": 1.0, "optimizer": {"name": "sgd", "learning_rate": 0.1802037228082688, "weight_decay": 2.786904447422134e-05, "momentum": 0.9, "nesterov": false}, "student_temperature": null}', 1327035299, 'completed', 1, 0, 'vm-4916-cc8bb5', NULL, true, 0.5515320334261838, 4, '{"accuracy": 0.5515320334261838, "nll": 1.559250590971072, "ece": 0.27615285977827375, "teacher_agreement": 0.14763231197771587, "teacher_entropy": 2.2725834627325843}', '{"accuracy": 0.5348189415041783, "nll": 1.581963932863779, "ece": 0.25060371209222226, "teacher_agreement": 0.14763231197771587, "teacher_entropy": 2.2739582288776856}', NULL, 1795535066.604575, 1795535066.959406, 1795535067.134099, 0.02729657600139035);
INSERT INTO public.tw_trials VALUES (11, 'b9b7ff15c58d7f78', 10, 'estimate', 'joint', 'winner', 0, 1, '{"temperature": 13.013974260146682, "kd_weight": 0.13652447001534213, "label_weight": 0.8634755299846579, "optimizer": {"name": "adamw", "learning_rate": 0.06154175035738888, "weight_decay": 0.0002524784349244705, "momentum": 0.0, "nesterov": false}, "student_temperature": null}', 1327035299, 'completed', 1, 0, 'vm-4916-cc8bb5', NULL, true, 0.5766016713091922, 4, '{"accuracy": 0.5766016713091922, "nll": 1.3728022450057151, "ece": 0.2030568449132451, "teacher_agreement": 0.22562674094707522, "teacher_entropy": 2.302407696435769}', '{"accuracy": 0.5431754874651811, "nll": 1.390977846786918, "ece": 0.16490815027632091, "teacher_agreement": 0.19498607242339833, "teacher_entropy": 2.3024167031214007}', NULL, 1795535066.604575, 1795535066.671606, 1795535066.907928, 0.06836800899691298);
INSERT INTO public.tw_trials VALUES (13, 'b9b7ff15c58d7f78', 12, 'estimate', 'label_only', 'same_settings', 0, 1, '{"temperature": 1.0, "kd_weight": 0.0, "label_weight": 1.0, "optimizer": {"name": "adamw", "learning_rate": 0.06154175035738888, "weight_decay": 0.0002524784349244705, "momentum": 0.0, "nesterov": false}, "student_temperature": null}', 1327035299, 'completed', 1, 0, 'vm-4916-cc8bb5', NULL, true, 0.5793871866295265, 4, '{"accuracy": 0.5793871866295265, "nll": 1.2703329793295266, "ece": 0.17288394656679826, "teacher_agreement": 0.19498607242339833, "teacher_entropy": 2.2725834627325843}', '{"accuracy": 0.584958217270195, "nll": 1.3025484964601766, "ece": 0.17051539930311171, "teacher_agreement": 0.1671309192200557, "teacher_entropy": 2.2739582288776856}', NULL, 1795535066.604575, 1795535067.163407, 1795535067.382362, 0.061260997001227224);
INSERT INTO public.tw_trials VALUES (15, 'b9b7ff15c58d7f78', 14, 'estimate', 't1', 'same_settings', 0, 1, '{"temperature": 1.0, "kd_weight": 0.13652447001534213, "label_weight": 0.8634755299846579, "optimizer": {"name": "adamw", "learning_rate": 0.06154175035738888, "weight_decay": 0.0002524784349244705, "momentum": 0.0, "nesterov": false}, "student_temperature": null}', 1327035299, 'completed', 1, 0, 'vm-4916-cc8bb5', NULL, true, 0.5710306406685237, 4, '{"accuracy": 0.5710306406685237, "nll": 1.366998987963932, "ece": 0.19724516852171634, "teacher_agreement": 0.233983286908078, "teacher_entropy": 2.2725834627325843}', '{"accuracy": 0.5459610027855153, "nll": 1.383452880468081, "ece": 0.16642136107277286, "teacher_agreement": 0.1894150417827298, "teacher_entropy": 2.2739582288776856}', NULL, 1795535066.604575, 1795535067.615455, 1795535067.735145, 0.056131963996449485);
INSERT INTO public.tw_trials VALUES (16, 'b9b7ff15c58d7f78', 15, 'estimate', 't4', 'tuned', 0, 5, '{"temperature": 4.0, "kd_weight": 0.4640127232021781, "label_weight": 0.5359872767978219, "optimizer": {"name": "sgd", "learning_rate": 0.05937468742016077, "weight_decay": 0.0001425793241750811, "momentum": 0.9, "nesterov": false}, "student_temperature": null}', 1327035299, 'completed', 1, 0, 'vm-4916-cc8bb5', NULL, true, 0.14206128133704735, 4, '{"accuracy": 0.14206128133704735, "nll": 2.176248976276673, "ece": 0.03225031953175846, "teacher_agreement": 0.10306406685236769, "teacher_entropy": 2.3007028815860835}', '{"accuracy": 0.14484679665738162, "nll": 2.169920802302478, "ece": 0.03885887131696854, "teacher_agreement": 0.12256267409470752, "teacher_entropy": 2.3007971425416134}', NULL, 1795535066.604575, 1795535067.75186, 1795535067.90901, 0.04826841500107548);
INSERT INTO public.tw_trials VALUES (17, 'b9b7ff15c58d7f78', 16, 'estimate', 't4', 'same_settings', 0, 1, '{"temperature": 4.0, "kd_weight": 0.13652447001534213, "label_weight": 0.8634755299846579, "optimizer": {"name": "adamw", "learning_rate": 0.06154175035738888, "weight_decay": 0.0002524784349244705, "momentum": 0.0, "nesterov": false}, "student_temperature": null}', 1327035299, 'completed', 1, 0, 'vm-4916-cc8bb5', NULL, true, 0.5738161559888579, 4, '{"accuracy": 0.5738161559888579, "nll": 1.3755340126634386, "ece": 0.20193012936499583, "teacher_agreement": 0.22562674094707522, "teacher_entropy": 2.3007028815860835}', '{"accuracy": 0.5459610027855153, "nll": 1.392572507964869, "ece": 0.16900821014026976, "teacher_agreement": 0.19220055710306408, "teacher_entropy": 2.3007971425416134}', NULL, 1795535066.604575, 1795535067.986046, 1795535068.179949, 0.04867869400186464);
INSERT INTO public.tw_trials VALUES (18, 'b9b7ff15c58d7f78', 17, 'estimate', 'joint', 'winner', 0, 1, '{"temperature": 13.013974260146682, "kd_weight": 0.13652447001534213, "label_weight": 0.8634755299846579, "optimizer": {"name": "adamw", "learning_rate": 0.06154175035738888, "weight_decay": 0.0002524784349244705, "momentum": 0.0, "nesterov": false}, "student_temperature": null}', 239447714, 'completed', 1, 0, 'vm-4916-cc8bb5', NULL, true, 0.7214484679665738, 4, '{"accuracy": 0.7214484679665738, "nll": 1.0255795409388009, "ece": 0.24197185576023034, "teacher_agreement": 0.2757660167130919, "teacher_entropy": 2.302407696435769}', '{"accuracy": 0.724233983286908, "nll": 1.045195286857059, "ece": 0.24931234322992932, "teacher_agreement": 0.25348189415041783, "teacher_entropy": 2.3024167031214007}', NULL, 1795535066.604575, 1795535068.203914, 1795535068.351858, 0.07456006400025217);
INSERT INTO public.tw_trials VALUES (20, 'b9b7ff15c58d7f78', 19, 'estimate', 'label_only', 'same_settings', 0, 1, '{"temperature": 1.0, "kd_weight": 0.0, "label_weight": 1.0, "optimizer": {"name": "adamw", "learning_rate": 0.06154175035738888, "weight_decay": 0.0002524784349244705, "momentum": 0.0, "nesterov": false}, "student_temperature": null}', 239447714, 'completed', 1, 0, 'vm-4916-cc8bb5', NULL, true, 0.7493036211699164, 4, '{"accuracy": 0.7493036211699164, "nll": 0.9385705070076853, "ece": 0.21143700922328082, "teacher_agreement": 0.27298050139275765, "teacher_entropy": 2.2725834627325843}', '{"accuracy": 0.7632311977715878, "nll": 0.9671258203620137, "ece": 0.24010552794704096, "teacher_agreement": 0.25069637883008355, "teacher_entropy": 2.2739582288776856}', NULL, 1795535066.604575, 1795535068.688474, 1795535068.835033, 0.05111887099701562);
INSERT INTO public.tw_trials VALUES (22, 'b9b7ff15c58d7f78', 21, 'estimate', 't1', 'same_settings', 0, 1, '{"temperature": 1.0, "kd_weight": 0.13652447001534213, "label_weight": 0.8634755299846579, "optimizer": {"name": "adamw", "learning_rate": 0.06154175035738888, "weight_decay": 0.0002524784349244705, "momentum": 0.0, "nesterov": false}, "student_temperature": null}', 239447714, 'completed', 1, 0, 'vm-4916-cc8bb5', NULL, true, 0.7186629526462396, 4, '{"accuracy": 0.7186629526462396, "nll": 1.0136700145748243, "ece": 0.22887315695741248, "teacher_agreement": 0.2841225626740947, "teacher_entropy": 2.2725834627325843}', '{"accuracy": 0.7325905292479109, "nll": 1.0336947946846076, "ece": 0.2525630295400746, "teacher_agreement": 0.2590529247910863, "teacher_entropy": 2.2739582288776856}', NULL, 1795535066.604575, 1795535069.03043, 1795535069.195017, 0.06671618800464785);
INSERT INTO public.tw_trials VALUES (23, 'b9b7ff15c58d7f78', 22, 'estimate', 't4', 'tuned', 0, 5, '{"temperature": 4.0, "kd_weight": 0.4640127232021781, "label_weight": 0.5359872767978219, "optimizer": {"name": "sgd", "learning_rate": 0.05937468742016077, "weight_decay": 0.0001425793241750811, "momentum": 0.9, "nesterov": false}, "student_temperature": null}', 239447714, 'completed', 1, 0, 'vm-4916-cc8bb5', NULL, true, 0.25348189415041783, 4, '{"accuracy": 0.25348189415041783, "nll": 2.1881156256069114, "ece": 0.11138467792012065, "teacher_agreement": 0.35097493036211697, "teacher_entropy": 2.3007028815860835}', '{"accuracy": 0.2479108635097493, "nll": 2.188648372094884, "ece": 0.10435846876965836, "teacher_agreement": 0.3788300835654596, "teacher_entropy": 2.3007971425416134}', NULL, 1795535066.604575, 1795535069.237821, 1795535069.389948, 0.07105712299744482);
INSERT INTO public.tw_trials VALUES (25, '11d3b9d2437e560c', 0, 'search', 'joint', NULL, 0, NULL, '{"temperature": 1.562920105033025, "kd_weight": 0.2554259778792655, "label_weight": 0.7445740221207344, "optimizer": {"name": "adamw", "learning_rate": 0.0008052862116474484, "weight_decay": 0.008195476350213338, "momentum": 0.0, "nesterov": false}, "student_temperature": null}', 1032671637, 'completed', 1, 0, 'vm-5782-b0ec19', 0, true, 0.2646239554317549, 8, '{"accuracy": 0.2646239554317549, "nll": 2.2502855685069973, "ece": 0.1269201421837571, "teacher_agreement": 0.11142061281337047, "teacher_entropy": 2.2902455149741527}', NULL, NULL, 1795535124.529947, 1795535124.614846, 1795535127.357306, 0.2336471089947736);
INSERT INTO public.tw_trials VALUES (14, 'b9b7ff15c58d7f78', 13, 'estimate', 't1', 'tuned', 0, 4, '{"temperature": 1.0, "kd_weight": 0.5474178378578122, "label_weight": 0.4525821621421878, "optimizer": {"name": "sgd", "learning_rate": 0.30303715465555064, "weight_decay": 5.915808020722575e-06, "momentum": 0.9, "nesterov": false}, "student_temperature": null}', 1327035299, 'completed', 1, 0, 'vm-4916-cc8bb5', NULL, true, 0.5153203342618384, 4, '{"accuracy": 0.5153203342618384, "nll": 1.8728013084553086, "ece": 0.34150485790620644, "teacher_agreement": 0.2479108635097493, "teacher_entropy": 2.2725834627325843}', '{"accuracy": 0.5264623955431755, "nll": 1.8729955552073907, "ece": 0.34422849702377467, "teacher_agreement": 0.233983286908078, "teacher_entropy": 2.2739582288776856}', NULL, 1795535066.604575, 1795535067.416371, 1795535067.583938, 0.037402672998723574);
INSERT INTO public.tw_trials VALUES (19, 'b9b7ff15c58d7f78', 18, 'estimate', 'label_only', 'tuned', 0, 3, '{"temperature": 1.0, "kd_weight": 0.0, "label_weight": 1.0, "optimizer": {"name": "sgd", "learning_rate": 0.1802037228082688, "weight_decay": 2.786904447422134e-05, "momentum": 0.9, "nesterov": false}, "student_temperature": null}', 239447714, 'completed', 1, 0, 'vm-4916-cc8bb5', NULL, true, 0.5459610027855153, 4, '{"accuracy": 0.5459610027855153, "nll": 1.535686315491178, "ece": 0.2664058107638394, "teacher_agreement": 0.23119777158774374, "teacher_entropy": 2.2725834627325843}', '{"accuracy": 0.4958217270194986, "nll": 1.5623348403873396, "ece": 0.21112845283419632, "teacher_agreement": 0.20334261838440112, "teacher_entropy": 2.2739582288776856}', NULL, 1795535066.604575, 1795535068.369817, 1795535068.670518, 0.09295628300242242);
INSERT INTO public.tw_trials VALUES (21, 'b9b7ff15c58d7f78', 20, 'estimate', 't1', 'tuned', 0, 4, '{"temperature": 1.0, "kd_weight": 0.5474178378578122, "label_weight": 0.4525821621421878, "optimizer": {"name": "sgd", "learning_rate": 0.30303715465555064, "weight_decay": 5.915808020722575e-06, "momentum": 0.9, "nesterov": false}, "student_temperature": null}', 239447714, 'completed', 1, 0, 'vm-4916-cc8bb5', NULL, true, 0.3955431754874652, 4, '{"accuracy": 0.3955431754874652, "nll": 1.8273729710610016, "ece": 0.1894301696394255, "teacher_agreement": 0.32590529247910865, "teacher_entropy": 2.2725834627325843}', '{"accuracy": 0.3983286908077994, "nll": 1.8465266941546856, "ece": 0.19150684229487694, "teacher_agreement": 0.3286908077994429, "teacher_entropy": 2.2739582288776856}', NULL, 1795535066.604575, 1795535068.853028, 1795535069.009486, 0.07905921399651561);
INSERT INTO public.tw_trials VALUES (24, 'b9b7ff15c58d7f78', 23, 'estimate', 't4', 'same_settings', 0, 1, '{"temperature": 4.0, "kd_weight": 0.13652447001534213, "label_weight": 0.8634755299846579, "optimizer": {"name": "adamw", "learning_rate": 0.06154175035738888, "weight_decay": 0.0002524784349244705, "momentum": 0.0, "nesterov": false}, "student_temperature": null}', 239447714, 'completed', 1, 0, 'vm-4916-cc8bb5', NULL, true, 0.7186629526462396, 4, '{"accuracy": 0.7186629526462396, "nll": 1.0238429074867195, "ece": 0.2360317413267748, "teacher_agreement": 0.2841225626740947, "teacher_entropy": 2.3007028815860835}', '{"accuracy": 0.7270194986072424, "nll": 1.0434446414249472, "ece": 0.24869070904715174, "teacher_agreement": 0.2562674094707521, "teacher_entropy": 2.3007971425416134}', NULL, 1795535066.604575, 1795535069.416755, 1795535069.605497, 0.0946750350012735);
INSERT INTO public.tw_trials VALUES (26, '11d3b9d2437e560c', 1, 'search', 'joint', NULL, 0, NULL, '{"temperature": 13.013974260146682, "kd_weight": 0.13652447001534213, "label_weight": 0.8634755299846579, "optimizer": {"name": "adamw", "learning_rate": 0.06154175035738888, "weight_decay": 0.0002524784349244705, "momentum": 0.0, "nesterov": false}, "student_temperature": null}', 1269613611, 'completed', 1, 0, 'vm-5782-b0ec19', 1, true, 0.7994428969359332, 8, '{"accuracy": 0.7994428969359332, "nll": 0.6634552895224457, "ece": 0.1219212524462606, "teacher_agreement": 0.25348189415041783, "teacher_entropy": 2.302407696435769}', NULL, NULL, 1795535127.743587, 1795535127.760485, 1795535129.502757, 0.25956593899900327);
INSERT INTO public.tw_trials VALUES (27, '11d3b9d2437e560c', 2, 'search', 'joint', NULL, 0, NULL, '{"temperature": 5.3713463196795885, "kd_weight": 0.6337973245817345, "label_weight": 0.36620267541826546, "optimizer": {"name": "adamw", "learning_rate": 0.0013044241436089888, "weight_decay": 1.1646004263227122e-06, "momentum": 0.0, "nesterov": false}, "student_temperature": null}', 1005909999, 'completed', 1, 0, 'vm-5782-b0ec19', 2, true, 0.23119777158774374, 8, '{"accuracy": 0.23119777158774374, "nll": 2.204348999534043, "ece": 0.09466191137813125, "teacher_agreement": 0.13649025069637882, "teacher_entropy": 2.301542042969875}', NULL, NULL, 1795535129.851818, 1795535129.878342, 1795535131.546496, 0.1722288179989846);
INSERT INTO public.tw_trials VALUES (28, '11d3b9d2437e560c', 3, 'search', 'joint', NULL, 0, NULL, '{"temperature": 3.8857442598200707, "kd_weight": 0.3169019640292083, "label_weight": 0.6830980359707917, "optimizer": {"name": "sgd", "learning_rate": 0.10298863039435376, "weight_decay": 0.00011821625660281939, "momentum": 0.9, "nesterov": false}, "student_temperature": null}', 906288267, 'completed', 1, 0, 'vm-5782-b0ec19', 3, true, 0.6072423398328691, 8, '{"accuracy": 0.6072423398328691, "nll": 1.4943941512903272, "ece": 0.3099664100138393, "teacher_agreement": 0.3147632311977716, "teacher_entropy": 2.300590419062641}', NULL, NULL, 1795535131.926385, 1795535131.942921, 1795535133.476005, 0.20621868599846493);
INSERT INTO public.tw_trials VALUES (29, '11d3b9d2437e560c', 4, 'search', 'joint', NULL, 0, NULL, '{"temperature": 2.9586134028939193, "kd_weight": 0.2533152478487932, "label_weight": 0.7466847521512068, "optimizer": {"name": "sgd", "learning_rate": 0.08008803899809837, "weight_decay": 1.0426204714119672e-06, "momentum": 0.9, "nesterov": false}, "student_temperature": null}', 1217726061, 'completed', 1, 0, 'vm-5782-b0ec19', 4, true, 0.6518105849582173, 8, '{"accuracy": 0.6518105849582173, "nll": 1.4653651951772129, "ece": 0.3642499910152528, "teacher_agreement": 0.31754874651810583, "teacher_entropy": 2.2991421284026385}', NULL, NULL, 1795535133.778972, 1795535133.785456, 1795535135.093221, 0.20941348100313917);
INSERT INTO public.tw_trials VALUES (30, '11d3b9d2437e560c', 5, 'search', 'joint', NULL, 0, NULL, NULL, 1332844794, 'running', 1, 0, 'vm-5782-b0ec19', NULL, false, NULL, 0, NULL, NULL, NULL, 1795535135.462577, 1795535135.478985, NULL, 0);

INSERT INTO public.tw_workers VALUES ('vm-4916-cc8bb5', 'vm', 4916, 1, '{"torch": "2.14.1+cu130", "torchvision": "0.29.1+cu130", "python": "3.11.7", "device": "cpu", "device_name": "x86_64", "bf16": false, "cores": 2, "threads": 1, "extras": []}', 1795535062.084933, 1795535062.084976, 1795535070.506729);
INSERT INTO public.tw_workers VALUES ('vm-5782-b0ec19', 'vm', 5782, 1, '{"torch": "2.14.1+cu130", "torchvision": "0.29.1+cu130", "python": "3.11.7", "device": "cpu", "device_name": "x86_64", "bf16": false, "cores": 2, "threads": 1, "extras": []}', 1795535123.425204, 1795535133.509362, NULL);

INSERT INTO public.version_info VALUES (1, 12, '5.0.0');

SELECT pg_catalog.setval('public.studies_study_id_seq', 5, true);

SELECT pg_catalog.setval('public.study_directions_study_direction_id_seq', 5, true);

SELECT pg_catalog.setval('public.study_system_attributes_study_system_attribute_id_seq', 1, false);

SELECT pg_catalog.setval('public.study_user_attributes_study_user_attribute_id_seq', 1, false);

SELECT pg_catalog.setval('public.trial_heartbeats_trial_heartbeat_id_seq', 1, false);

SELECT pg_catalog.setval('public.trial_intermediate_values_trial_intermediate_value_id_seq', 10, true);

SELECT pg_catalog.setval('public.trial_params_param_id_seq', 51, true);

SELECT pg_catalog.setval('public.trial_system_attributes_trial_system_attribute_id_seq', 1, false);

SELECT pg_catalog.setval('public.trial_user_attributes_trial_user_attribute_id_seq', 11, true);

SELECT pg_catalog.setval('public.trial_values_trial_value_id_seq', 11, true);

SELECT pg_catalog.setval('public.trials_trial_id_seq', 11, true);

SELECT pg_catalog.setval('public.tw_artifacts_id_seq', 2, true);

SELECT pg_catalog.setval('public.tw_trials_id_seq', 30, true);

ALTER TABLE ONLY public.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);

ALTER TABLE ONLY public.tw_analyses
    ADD CONSTRAINT pk_tw_analyses PRIMARY KEY (job_id, kind);

ALTER TABLE ONLY public.tw_artifacts
    ADD CONSTRAINT pk_tw_artifacts PRIMARY KEY (id);

ALTER TABLE ONLY public.tw_events
    ADD CONSTRAINT pk_tw_events PRIMARY KEY (job_id, number);

ALTER TABLE ONLY public.tw_idempotency
    ADD CONSTRAINT pk_tw_idempotency PRIMARY KEY (key, principal);

ALTER TABLE ONLY public.tw_jobs
    ADD CONSTRAINT pk_tw_jobs PRIMARY KEY (id);

ALTER TABLE ONLY public.tw_keys
    ADD CONSTRAINT pk_tw_keys PRIMARY KEY (id);

ALTER TABLE ONLY public.tw_leases
    ADD CONSTRAINT pk_tw_leases PRIMARY KEY (subject);

ALTER TABLE ONLY public.tw_reports
    ADD CONSTRAINT pk_tw_reports PRIMARY KEY (trial_id, epoch);

ALTER TABLE ONLY public.tw_trials
    ADD CONSTRAINT pk_tw_trials PRIMARY KEY (id);

ALTER TABLE ONLY public.tw_workers
    ADD CONSTRAINT pk_tw_workers PRIMARY KEY (id);

ALTER TABLE ONLY public.studies
    ADD CONSTRAINT studies_pkey PRIMARY KEY (study_id);

ALTER TABLE ONLY public.study_directions
    ADD CONSTRAINT study_directions_pkey PRIMARY KEY (study_direction_id);

ALTER TABLE ONLY public.study_directions
    ADD CONSTRAINT study_directions_study_id_objective_key UNIQUE (study_id, objective);

ALTER TABLE ONLY public.study_system_attributes
    ADD CONSTRAINT study_system_attributes_pkey PRIMARY KEY (study_system_attribute_id);

ALTER TABLE ONLY public.study_system_attributes
    ADD CONSTRAINT study_system_attributes_study_id_key_key UNIQUE (study_id, key);

ALTER TABLE ONLY public.study_user_attributes
    ADD CONSTRAINT study_user_attributes_pkey PRIMARY KEY (study_user_attribute_id);

ALTER TABLE ONLY public.study_user_attributes
    ADD CONSTRAINT study_user_attributes_study_id_key_key UNIQUE (study_id, key);

ALTER TABLE ONLY public.trial_heartbeats
    ADD CONSTRAINT trial_heartbeats_pkey PRIMARY KEY (trial_heartbeat_id);

ALTER TABLE ONLY public.trial_heartbeats
    ADD CONSTRAINT trial_heartbeats_trial_id_key UNIQUE (trial_id);

ALTER TABLE ONLY public.trial_intermediate_values
    ADD CONSTRAINT trial_intermediate_values_pkey PRIMARY KEY (trial_intermediate_value_id);

ALTER TABLE ONLY public.trial_intermediate_values
    ADD CONSTRAINT trial_intermediate_values_trial_id_step_key UNIQUE (trial_id, step);

ALTER TABLE ONLY public.trial_params
    ADD CONSTRAINT trial_params_pkey PRIMARY KEY (param_id);

ALTER TABLE ONLY public.trial_params
    ADD CONSTRAINT trial_params_trial_id_param_name_key UNIQUE (trial_id, param_name);

ALTER TABLE ONLY public.trial_system_attributes
    ADD CONSTRAINT trial_system_attributes_pkey PRIMARY KEY (trial_system_attribute_id);

ALTER TABLE ONLY public.trial_system_attributes
    ADD CONSTRAINT trial_system_attributes_trial_id_key_key UNIQUE (trial_id, key);

ALTER TABLE ONLY public.trial_user_attributes
    ADD CONSTRAINT trial_user_attributes_pkey PRIMARY KEY (trial_user_attribute_id);

ALTER TABLE ONLY public.trial_user_attributes
    ADD CONSTRAINT trial_user_attributes_trial_id_key_key UNIQUE (trial_id, key);

ALTER TABLE ONLY public.trial_values
    ADD CONSTRAINT trial_values_pkey PRIMARY KEY (trial_value_id);

ALTER TABLE ONLY public.trial_values
    ADD CONSTRAINT trial_values_trial_id_objective_key UNIQUE (trial_id, objective);

ALTER TABLE ONLY public.trials
    ADD CONSTRAINT trials_pkey PRIMARY KEY (trial_id);

ALTER TABLE ONLY public.tw_alembic_version
    ADD CONSTRAINT tw_alembic_version_pkc PRIMARY KEY (version_num);

ALTER TABLE ONLY public.tw_artifacts
    ADD CONSTRAINT uq_tw_artifacts_job_id_name UNIQUE (job_id, name);

ALTER TABLE ONLY public.tw_leases
    ADD CONSTRAINT uq_tw_leases_token UNIQUE (token);

ALTER TABLE ONLY public.tw_trials
    ADD CONSTRAINT uq_tw_trials_job_id_number UNIQUE (job_id, number);

ALTER TABLE ONLY public.version_info
    ADD CONSTRAINT version_info_pkey PRIMARY KEY (version_info_id);

CREATE UNIQUE INDEX ix_studies_study_name ON public.studies USING btree (study_name);

CREATE INDEX ix_trials_study_id ON public.trials USING btree (study_id);

CREATE INDEX ix_tw_artifacts_job_id ON public.tw_artifacts USING btree (job_id);

CREATE INDEX ix_tw_jobs_created_at_id ON public.tw_jobs USING btree (created_at, id);

CREATE INDEX ix_tw_jobs_owner_created_at_id ON public.tw_jobs USING btree (owner, created_at, id);

CREATE INDEX ix_tw_jobs_state ON public.tw_jobs USING btree (state);

CREATE INDEX ix_tw_leases_expires_at ON public.tw_leases USING btree (expires_at);

CREATE INDEX ix_tw_leases_job_id ON public.tw_leases USING btree (job_id);

CREATE INDEX ix_tw_leases_trial_id ON public.tw_leases USING btree (trial_id);

CREATE INDEX ix_tw_leases_worker_id ON public.tw_leases USING btree (worker_id);

CREATE INDEX ix_tw_trials_job_id_stage_arm ON public.tw_trials USING btree (job_id, stage, arm);

CREATE INDEX ix_tw_trials_job_id_state ON public.tw_trials USING btree (job_id, state);

CREATE INDEX ix_tw_trials_unmirrored ON public.tw_trials USING btree (id) WHERE (NOT mirrored);

CREATE UNIQUE INDEX uq_tw_trials_optuna ON public.tw_trials USING btree (job_id, arm, optuna_number);

ALTER TABLE ONLY public.tw_analyses
    ADD CONSTRAINT fk_tw_analyses_job_id FOREIGN KEY (job_id) REFERENCES public.tw_jobs(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.tw_artifacts
    ADD CONSTRAINT fk_tw_artifacts_job_id FOREIGN KEY (job_id) REFERENCES public.tw_jobs(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.tw_artifacts
    ADD CONSTRAINT fk_tw_artifacts_trial_id FOREIGN KEY (trial_id) REFERENCES public.tw_trials(id) ON DELETE SET NULL;

ALTER TABLE ONLY public.tw_events
    ADD CONSTRAINT fk_tw_events_job_id FOREIGN KEY (job_id) REFERENCES public.tw_jobs(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.tw_idempotency
    ADD CONSTRAINT fk_tw_idempotency_job_id FOREIGN KEY (job_id) REFERENCES public.tw_jobs(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.tw_leases
    ADD CONSTRAINT fk_tw_leases_job_id FOREIGN KEY (job_id) REFERENCES public.tw_jobs(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.tw_leases
    ADD CONSTRAINT fk_tw_leases_trial_id FOREIGN KEY (trial_id) REFERENCES public.tw_trials(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.tw_reports
    ADD CONSTRAINT fk_tw_reports_trial_id FOREIGN KEY (trial_id) REFERENCES public.tw_trials(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.tw_trials
    ADD CONSTRAINT fk_tw_trials_job_id FOREIGN KEY (job_id) REFERENCES public.tw_jobs(id) ON DELETE CASCADE;

ALTER TABLE ONLY public.study_directions
    ADD CONSTRAINT study_directions_study_id_fkey FOREIGN KEY (study_id) REFERENCES public.studies(study_id);

ALTER TABLE ONLY public.study_system_attributes
    ADD CONSTRAINT study_system_attributes_study_id_fkey FOREIGN KEY (study_id) REFERENCES public.studies(study_id);

ALTER TABLE ONLY public.study_user_attributes
    ADD CONSTRAINT study_user_attributes_study_id_fkey FOREIGN KEY (study_id) REFERENCES public.studies(study_id);

ALTER TABLE ONLY public.trial_heartbeats
    ADD CONSTRAINT trial_heartbeats_trial_id_fkey FOREIGN KEY (trial_id) REFERENCES public.trials(trial_id);

ALTER TABLE ONLY public.trial_intermediate_values
    ADD CONSTRAINT trial_intermediate_values_trial_id_fkey FOREIGN KEY (trial_id) REFERENCES public.trials(trial_id);

ALTER TABLE ONLY public.trial_params
    ADD CONSTRAINT trial_params_trial_id_fkey FOREIGN KEY (trial_id) REFERENCES public.trials(trial_id);

ALTER TABLE ONLY public.trial_system_attributes
    ADD CONSTRAINT trial_system_attributes_trial_id_fkey FOREIGN KEY (trial_id) REFERENCES public.trials(trial_id);

ALTER TABLE ONLY public.trial_user_attributes
    ADD CONSTRAINT trial_user_attributes_trial_id_fkey FOREIGN KEY (trial_id) REFERENCES public.trials(trial_id);

ALTER TABLE ONLY public.trial_values
    ADD CONSTRAINT trial_values_trial_id_fkey FOREIGN KEY (trial_id) REFERENCES public.trials(trial_id);

ALTER TABLE ONLY public.trials
    ADD CONSTRAINT trials_study_id_fkey FOREIGN KEY (study_id) REFERENCES public.studies(study_id);

