"""``Index.sql`` reads and can do nothing else, whatever the text: every trick that we know, on both databases."""

import time
from pathlib import Path

import psycopg
import pytest
from longlag.service.errors import DatabaseUnavailable, QueryRefused
from longlag.service.index import Index
from longlag.service.store import Store
from longlag.service.study import Study
from longlag.workers.probes import DEFAULT_PROBES
from longlag.workers.task import Shard, run_shard
from sqlalchemy import text


@pytest.fixture
def index(index_url: str, tmp_path: Path) -> Index:
    """With three runs in it."""
    return filled(index_url, tmp_path)


@pytest.fixture
def postgres(postgres_url: str, tmp_path: Path) -> Index:
    return filled(postgres_url, tmp_path)


@pytest.fixture
def sqlite(tmp_path: Path) -> Index:
    return filled(f"sqlite:///{tmp_path / 'index.sqlite'}", tmp_path)


def filled(url: str, folder: Path) -> Index:
    index, store = Index.open(url), Store(folder / "data")
    store.create()
    study = Study("s", seed=range(3), length=2, hidden_size=1)
    index.add_revision(study)
    receipt = run_shard(Shard.of(list(study.points()), DEFAULT_PROBES), str(store.root))
    index.commit((receipt, store.scalars(str(receipt.file)), ()))
    return index


def state(index: Index) -> list[object]:
    """Everything in the tables, and which tables there are."""
    lasting = "select relname from pg_class where relpersistence <> 't'"
    catalog = "select name from sqlite_master" if index.dialect == "sqlite" else lasting
    queries = [f"select * from {t}" for t in ("studies", "revisions", "points", "shards", "jobs", "measures")]
    return [
        sorted(map(str, index.read(lambda c, q=q: c.execute(text(q)).fetchall())))
        for q in [*queries, catalog]
    ]


def refused(index: Index, query: str) -> None:
    with pytest.raises(QueryRefused) as e:
        pytest.fail(f"{query!r} is answered: {index.sql(query)}")
    assert "\n" not in str(e.value), query


READS = (
    "select count(*) from runs",
    "SELECT cell, gamma, count(*) FROM study_runs WHERE study = 's' AND status = 'ok' GROUP BY 1, 2",
    "with a as (select seed from runs) select max(seed) from a;",
    "-- a remark\nselect 1 as one -- and another",
    "/* a remark */ select 1 as one",
    "select 'drop table; -- '' nextval' as text",
    "values (1, 2), (3, 4)",
    " select (select max(seed) from runs) as m",
    "select seed, row_number() over (order by seed) as n, lag(seed) over (order by seed) as before from runs",
    "select round(avg(loss_value)) as a, coalesce(null, 1) as b, abs(-2) as c, upper('x') as d from runs",
    "with recursive n(i) as (select 1 union all select i + 1 from n where i < 5) select sum(i) as s from n",
    "select random() as r, 100 % 7 as percent, 'a%b' as p, '?' as q, ':x' as colon",
)

WRITES = (
    "",
    ";",
    "insert into studies (name, description, created) values ('x', '', '2026-01-01')",
    "update measures set loss_value = 0",
    "delete from measures",
    "drop table measures",
    "alter table measures add column x text",
    "create table x (y integer)",
    "create temp table x as select 1",
    "select 1; drop table measures",
    "select 1; commit; drop table measures",
    "commit; drop table measures",
    "begin; drop table measures",
    "with x as (delete from measures returning point_id) select * from x",
    "with x as (update measures set seed = 1 returning point_id) select * from x",
    "with x as (select 1) delete from measures",
    "explain analyze delete from measures",
    "explain delete from measures",
    "vacuum",
    "analyze",
    "reindex measures",
    "select * from measures limit 1; select 2",
    "savepoint a",
    "rollback",
    "truncate measures",
    "select 1 into x",
    "create view x as select 1",
    "select\x00 1",
)

SQLITE = (
    "attach database '/tmp/ll_trick_attached.sqlite' as x",
    "pragma writable_schema = on",
    "pragma journal_mode = delete",
    "select * from pragma_journal_mode",
    "select load_extension('x')",
    "select writefile('/tmp/ll_trick_written', 'x')",
    "detach database main",
    "vacuum into '/tmp/ll_trick_vacuumed.sqlite'",
    "create virtual table x using fts5(y)",
    "insert into sqlite_master select * from sqlite_master",
    "replace into studies values ('x', '', '')",
    "select zeroblob(2000000000)",
    "values (1) returning 1",
)

POSTGRES = (
    "select set_config('transaction_read_only', 'off', true)",
    "select set_config('role', 'postgres', false), set_config('statement_timeout', '0', false)",
    "select \"set_config\"('a.b', 'c', false)",
    "select pg_catalog.set_config('a.b', 'c', false)",
    "select u&\"set!005fconfig\" uescape '!' ('a.b', 'c', false)",
    "select 'it''s' -- '\n , set_config('a.b', 'c', false) -- '",
    "select E'\\'', set_config('a.b', 'c', false) -- '",
    "select $$ ' $$, set_config('a.b', 'c', false), $$ ' $$",
    "select /* /* ' */ ' */ set_config('a.b', 'c', false) -- '",
    "set transaction read write",
    "set session characteristics as transaction read write",
    "reset role",
    "set role postgres",
    "do $$ begin delete from measures; end $$",
    "copy measures to program 'cat > /tmp/ll_trick_copied'",
    "copy (select 1) to '/tmp/ll_trick_copied'",
    "select pg_read_file('/etc/passwd')",
    "select pg_ls_dir('/')",
    "select lo_import('/etc/passwd')",
    "select lo_export(1, '/tmp/ll_trick_exported')",
    "select lo_create(4711)",
    "select lo_from_bytea(0, 'x')",
    "select nextval('shards_id_seq')",
    "select setval('shards_id_seq', 999)",
    "select pg_terminate_backend(pid) from pg_stat_activity",
    "select pg_cancel_backend(1)",
    "select pg_reload_conf()",
    "select pg_switch_wal()",
    "select pg_notify('a', 'b')",
    "select pg_advisory_lock(1)",
    "select pg_sleep(60)",
    "select pg_stat_reset()",
    "select pg_logical_emit_message(false, 'a', 'b')",
    "select query_to_xml('delete from measures returning 1', true, true, '')",
    "select query_to_xml('select pg_sleep(60)', true, true, '')",
    "select ts_stat('select to_tsvector(''a'')')",
    "select dblink('dbname=postgres', 'select 1')",
    "select dblink_exec('dbname=postgres', 'drop table measures')",
    "select * from measures for update",
    "select harmful()",
    "select (m).harmful_of from measures m",
    "select m.harmful_of from measures m",
    "select * into temp x from measures",
    "listen x",
    "notify x",
    "prepare x as delete from measures",
    "declare x cursor for select 1",
    "fetch all from longlag_query",
    "call harmful()",
    "lock table measures",
    "table pg_catalog.pg_authid",
    "select rolpassword from pg_authid",
    "select 1 from secrets",
)


class TestBoth:
    def test_what_reads_is_answered(self, index: Index) -> None:
        before = state(index)
        for query in READS:
            assert len(index.sql(query)) >= 1, query
        assert state(index) == before

    def test_what_writes_is_refused(self, index: Index) -> None:
        before = state(index)
        for query in WRITES:
            refused(index, query)
        assert state(index) == before

    def test_also_for_one_who_may_only_read(self, index: Index, index_url: str) -> None:
        reading = Index.open(index_url, write=False)
        assert reading.sql("select count(*) as n from runs").n.tolist() == [3]
        with pytest.raises(QueryRefused):
            reading.sql("delete from measures")

    def test_time_limit(self, index: Index) -> None:
        endless = "with recursive n(i) as (select 1 union all select i + 1 from n) select count(*) from n"
        began = time.monotonic()
        with pytest.raises(QueryRefused, match=r"took more than 0.3 s .*--timeout"):
            index.sql(endless, timeout=0.3)
        assert time.monotonic() - began < 5

    def test_row_cap(self, index: Index) -> None:
        numbers = (
            "with recursive n(i) as (select 1 union all select i + 1 from n where i < 11) select i from n"
        )
        assert len(index.sql(numbers, max_rows=11)) == 11
        with pytest.raises(QueryRefused, match=r"more than 10 rows: .*--max-rows"):
            index.sql(numbers, max_rows=10)
        with pytest.raises(QueryRefused, match="give more than zero"):
            index.sql(numbers, max_rows=0)

    @pytest.mark.parametrize(
        ("query", "message"),
        [
            ("select gama from runs", "did you mean 'gamma'"),
            ("select runs.gama from runs", "did you mean 'gamma'"),
            ("select horizn_1 from runs", "did you mean 'horizon_1'"),
            ("select xyzzy from runs", "select \\* from study_runs limit 1 shows the columns"),
            ("select 1 from study_run", "did you mean 'study_runs'"),
            ("select 1 from xyzzy", "tables and views are runs, study_runs, "),
            ("selekt 1", "SELEKT is refused: a query is one SELECT"),
            ("select from where", "syntax error"),
            ("select abs('x', 'y', 'z')", "abs"),
        ],
    )
    def test_mistakes_are_explained(self, index: Index, query: str, message: str) -> None:
        with pytest.raises(QueryRefused, match=message) as e:
            index.sql(query)
        assert "\n" not in str(e.value)

    def test_types(self, index: Index) -> None:
        frame = index.sql(
            "select cell, gamma, seed, leak, half_life_censored, current, reset, count(*) as n, sum(seed) as total,"
            " avg(seed) as mean, case when seed > 0 then seed end as some, 2.5 as half from study_runs "
            "group by cell, gamma, seed, leak, half_life_censored, current, reset order by seed"
        )
        assert {name: str(dtype) for name, dtype in frame.dtypes.items()} == {
            "cell": "string",
            "gamma": "float64",
            "seed": "int64",
            "leak": "float64",
            "half_life_censored": "boolean",
            "current": "boolean",
            "reset": "string" if index.dialect == "postgresql" else "float64",
            "n": "int64",
            "total": "int64",
            "mean": "float64" if index.dialect == "sqlite" else "int64",
            "some": "Int64",
            "half": "float64",
        }
        twice = index.sql("select seed, seed from runs")
        assert list(twice.columns) == ["seed", "seed_2"]
        assert list(index.sql("select cell, gamma from runs where seed < 0").columns) == ["cell", "gamma"]


class TestSqlite:
    def test_tricks(self, sqlite: Index) -> None:
        before = state(sqlite)
        for query in SQLITE:
            refused(sqlite, query)
        assert state(sqlite) == before
        assert not list(Path("/tmp").glob("ll_trick_*"))

    def test_a_missing_file_is_not_made(self, sqlite: Index) -> None:
        sqlite.close()
        assert sqlite.file is not None
        for path in sqlite.file.parent.glob("index.sqlite*"):
            path.unlink()
        with pytest.raises(DatabaseUnavailable):
            sqlite.sql("select 1")
        assert not sqlite.file.exists()


@pytest.mark.integration
class TestPostgres:
    def test_tricks(self, postgres: Index) -> None:
        with postgres.engine.begin() as connection:
            connection.execute(
                text(
                    "create function harmful() returns int language sql as 'delete from measures; select 1';"
                    "create function harmful_of(measures) returns int language sql as 'select harmful()';"
                    "create table secrets (word text); insert into secrets values ('x')"
                )
            )
        before = state(postgres)
        for query in POSTGRES:
            refused(postgres, query)
        assert state(postgres) == before
        assert not list(Path("/tmp").glob("ll_trick_*"))

    def test_a_function_of_the_same_name_elsewhere_is_no_way_in(self, postgres: Index) -> None:
        """What people put in other schemas is looked up nowhere; what is named in full is looked at."""
        with postgres.engine.begin() as connection:
            connection.execute(text("create schema other"))
            connection.execute(
                text(
                    "create function other.quiet() returns text language sql stable as 'select current_user::text'"
                )
            )
        with pytest.raises(QueryRefused, match="permission denied for schema other"):
            postgres.sql("select other.quiet()")
        assert postgres.sql("select current_user::text as who").who.tolist() == ["longlag_reader"]

    def test_without_the_role_it_is_read_only_all_the_same(self, postgres: Index, postgres_url: str) -> None:
        """A plain user who owns nothing: no role to take, and still nothing can be written."""
        with postgres.engine.begin() as connection:
            name = "plain_" + postgres.url.database[-12:] if postgres.url.database else ""
            connection.execute(text(f"create role {name} login"))
            connection.execute(
                text(f"grant select, insert, update, delete on all tables in schema public to {name}")
            )
        try:
            plain = Index.open(postgres_url.replace("postgres:@", f"{name}:@"), write=False)
            assert plain.sql("select current_user::text as who").who.tolist() == [name]
            for query in WRITES:
                refused(plain, query)
            plain.close()
        finally:
            with postgres.engine.begin() as connection:
                connection.execute(text(f"drop owned by {name}"))
                connection.execute(text(f"drop role {name}"))

    def test_nothing_is_left_on_the_session(self, postgres: Index) -> None:
        with pytest.raises(QueryRefused):
            postgres.sql("select set_config('search_path', 'other', false), 1 / 0")
        assert postgres.read(lambda c: c.execute(text("show search_path")).scalar()) == '"$user", public'
        assert postgres.read(lambda c: c.execute(text("select current_user::text")).scalar()) == "postgres"

    def test_unreachable(self, postgres: Index, postgres_server: str) -> None:
        postgres.close()
        with psycopg.connect(postgres_server, autocommit=True) as connection:
            connection.execute(f"alter database {postgres.url.database} allow_connections false")
        with pytest.raises(DatabaseUnavailable):
            postgres.sql("select 1")
