"""The Markdown note beside a job's study in Optuna Dashboard: the answer in words, its limitations, and the spec."""

from __future__ import annotations

import re

from search import units
from search.requests.job_view import JobView
from service.pages.spec_words import spec_yaml

BESIDE = (
    "This study holds the joint search alone, since it is what the sampler learns from. The tuned baselines have "
    "studies of their own beside it, and the trials on fresh seeds (select, estimate) are draws of no search: they are "
    "in the plots above the table, in the report and under `/v1/jobs/{id}/trials`."
)


def note(job_view: JobView, root_path: str = "") -> str:
    """The note. What users wrote is text, or stands in code, where Markdown does nothing with it."""
    job, result = job_view.job, job_view.result
    parts = [f"# {_text(job.name)}"]
    if result is not None:
        headline, action = (_text(words) for words in units.first_lines(result.verdict, result.summary))
        parts.append(f"**{headline}** {action}" if job_view.final else f"**So far:** {headline} {action}")
        if further := units.further_lines(result.verdict, result.summary):
            parts.append(_text(further))
    if result is not None and result.sanity:
        findings = [f"- {_text(finding.finding)} {_text(finding.action)}" for finding in result.sanity]
        parts.append("## Look at this first\n\n" + "\n".join(findings))
    if result is not None and (teacher := units.teacher_worth(result.teacher)):
        parts.append(_text(teacher))
    if not job_view.final:
        parts.append(_text(so_far(job_view)))
    if result is not None and result.cautions:
        parts.append("## Limitations\n\n" + "\n".join(f"- {_text(caution)}" for caution in result.cautions))
    parts.append(f"[Report]({root_path}/v1/jobs/{job.id}/report) of job `{job.id}`. " + BESIDE.format(id=job.id))
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", str(job.spec))), default=0))
    parts.append(f"## The spec\n\n{fence}yaml\n{spec_yaml(job)}{fence}")
    return "\n\n".join(parts) + "\n"


def so_far(job_view: JobView) -> str:
    """Where an unfinished job is, in a sentence or two; for those that will never finish, why."""
    job, progress = job_view.job, job_view.job.progress
    if job.problem is not None:
        return f"The job has failed: {job.problem.detail}"
    text = f"The job is {job.state.value}: {progress.search_done} of {progress.search_budget} search trials have ended"
    text += f", {progress.trials_done} of about {progress.trials_planned} trials in all."
    if progress.best_value is not None:
        level = units.level(units.shown(job_view.response), progress.best_value)
        text += f" The best so far is trial {progress.best_trial} with {level}, on one seed."
    return text


def _text(words: str) -> str:
    """Words, which may name what users named, without what Markdown, or HTML in it, would make something of."""
    visible = re.sub(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", " ", words)
    line = re.sub(r"([\\`*_\[\]<>#!|~&$])", r"\\\1", " ".join(visible.split()))
    return re.sub(r"^(\d*)([-+=.)])", r"\1\\\2", line)
