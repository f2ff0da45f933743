"""Jobs: every transition is one conditional UPDATE, and of two who try one succeeds. On SQLite and PostgreSQL."""

import time

import pytest
from longlag.service.errors import JobConflict, NotFound
from longlag.service.index import Index
from longlag.service.jobs import JobRecord, Jobs
from longlag.service.study import Study


@pytest.fixture
def jobs(index: Index) -> Jobs:
    return Jobs(index)


def revision(index: Index, name: str = "s", seeds: int = 2) -> int:
    return index.add_revision(Study(name, seed=range(seeds), length=2, hidden_size=1)).id


@pytest.fixture
def job(index: Index, jobs: Jobs) -> JobRecord:
    return jobs.create("s", revision(index), total=2)[0]


class TestJobs:
    def test_life(self, jobs: Jobs, job: JobRecord) -> None:
        assert (job.state, job.owner, job.total, job.done, job.counts) == ("queued", None, 2, 0, {})
        assert job.active
        assert job.log == f"logs/{job.id}.log"
        assert jobs.claim(job.id, "a")
        assert jobs.progress(job.id, "a", 1, {"ok": 1})
        running = jobs.get(job.id)
        assert (running.state, running.done, running.counts, running.revision) == ("running", 1, {"ok": 1}, 1)
        assert running.started is not None
        assert running.finished is None
        assert jobs.finish(job.id, "a", "done", "all points are there")
        done = jobs.get(job.id)
        assert (done.state, done.message, done.over) == ("done", "all points are there", True)
        assert done.finished is not None
        assert done.finished >= done.started >= done.created  # type: ignore[operator]
        assert not jobs.claim(job.id, "b")
        assert jobs.active("s") is None

    def test_one_of_two_claims_it(self, jobs: Jobs, job: JobRecord) -> None:
        assert jobs.claim(job.id, "a")
        assert not jobs.claim(job.id, "b")
        assert jobs.claim(job.id, "a"), "repeating a claim that succeeded is no conflict"
        assert not jobs.renew(job.id, "b")
        assert not jobs.finish(job.id, "b", "done")
        assert jobs.get(job.id).owner == "a"

    def test_an_expired_lease_is_taken_over(self, jobs: Jobs, job: JobRecord) -> None:
        assert jobs.claim(job.id, "a", lease=0.05)
        time.sleep(0.1)
        assert jobs.get(job.id).state == "interrupted"
        assert [j.id for j in jobs.interrupted()] == [job.id]
        active = jobs.active("s")
        assert active is not None
        assert not active.active
        assert not active.over
        assert jobs.claim(job.id, "b")
        assert not jobs.renew(job.id, "a"), "the first driver learns that the job is not its own any more"
        assert not jobs.progress(job.id, "a", 2, {"ok": 2})
        assert not jobs.finish(job.id, "a", "failed")
        assert jobs.get(job.id).state == "running"

    def test_renewing_keeps_it(self, jobs: Jobs, job: JobRecord) -> None:
        assert jobs.claim(job.id, "a", lease=0.05)
        assert jobs.renew(job.id, "a", lease=30.0)
        time.sleep(0.1)
        assert not jobs.claim(job.id, "b")
        left = jobs.get(job.id).lease_until.timestamp() - time.time()
        assert 20 < left < 40

    def test_release_lets_others_claim_at_once(self, jobs: Jobs, job: JobRecord) -> None:
        assert jobs.claim(job.id, "a")
        assert jobs.release(job.id, "a")
        assert jobs.get(job.id).state == "interrupted"
        assert jobs.claim(job.id, "b")

    def test_second_create_attaches(self, index: Index, jobs: Jobs, job: JobRecord) -> None:
        again, fresh = jobs.create("s", revision(index), total=2)
        assert (again.id, fresh) == (job.id, False)

    def test_another_revision_is_refused_while_a_job_runs(
        self, index: Index, jobs: Jobs, job: JobRecord
    ) -> None:
        assert jobs.claim(job.id, "host:12")
        with pytest.raises(
            JobConflict, match=f"job {job.id} of study 's', revision 1, is running by host:12"
        ):
            revision(index, seeds=3)
        assert index.revision("s").revision == 1, "the refused revision is not half there"
        assert revision(index, name="other", seeds=3), "another study is another matter"

    def test_another_revision_ends_an_interrupted_job(self, index: Index, jobs: Jobs, job: JobRecord) -> None:
        assert jobs.claim(job.id, "a")
        assert jobs.release(job.id, "a")
        new, fresh = jobs.create("s", revision(index, seeds=3), total=3)
        assert fresh
        assert new.revision == 2
        assert jobs.get(job.id).state == "cancelled"
        assert not jobs.claim(job.id, "a")

    def test_cancel_of_a_running_job_is_asked(self, jobs: Jobs, job: JobRecord) -> None:
        assert jobs.claim(job.id, "a")
        asked = jobs.cancel(job.id)
        assert (asked.state, asked.cancel_requested) == ("running", True)
        assert jobs.renew(job.id, "a")
        assert jobs.finish(job.id, "a", "cancelled")
        assert jobs.get(job.id).state == "cancelled"

    @pytest.mark.parametrize("claimed", [False, True])
    def test_cancel_without_a_driver_is_at_once(self, jobs: Jobs, job: JobRecord, claimed: bool) -> None:
        if claimed:
            assert jobs.claim(job.id, "a", lease=-1.0)
        assert jobs.cancel(job.id).state == "cancelled"
        assert not jobs.claim(job.id, "b")
        assert not jobs.renew(job.id, "a")
        assert jobs.cancel(job.id).state == "cancelled"

    def test_cancel_of_a_finished_job_changes_nothing(self, jobs: Jobs, job: JobRecord) -> None:
        assert jobs.claim(job.id, "a")
        assert jobs.finish(job.id, "a", "done")
        assert jobs.cancel(job.id) == jobs.get(job.id)
        assert jobs.get(job.id).state == "done"

    def test_reopen(self, index: Index, jobs: Jobs, job: JobRecord) -> None:
        assert not jobs.reopen(job.id), "it is queued as it is"
        jobs.cancel(job.id)
        assert jobs.reopen(job.id)
        reopened = jobs.get(job.id)
        assert (reopened.state, reopened.cancel_requested, reopened.finished) == ("queued", False, None)
        jobs.cancel(job.id)
        other, _ = jobs.create("s", revision(index), total=2)
        with pytest.raises(JobConflict, match=other.id):
            jobs.reopen(job.id)

    def test_list_is_newest_first(self, index: Index, jobs: Jobs, job: JobRecord) -> None:
        other, _ = jobs.create("t", revision(index, "t"), total=2)
        assert [j.id for j in jobs.list()] == [other.id, job.id]
        assert [j.id for j in jobs.list("s")] == [job.id]

    def test_unknown_job(self, jobs: Jobs, job: JobRecord) -> None:
        near = job.id[:-1] + ("0" if job.id[-1] != "0" else "1")
        with pytest.raises(NotFound, match=f"there is no job '{near}': did you mean '{job.id}'?"):
            jobs.get(near)

    def test_finish_refuses_a_state_that_is_no_end(self, jobs: Jobs, job: JobRecord) -> None:
        with pytest.raises(ValueError, match="done, failed or cancelled"):
            jobs.finish(job.id, "a", "interrupted")
