from .arguments import method_files, prepared_files, schedule_arguments, write_source_arguments
from .budgets import budget_file, budget_labels, schedules
from .demands import job_minutes, jobs_in_a_batch, run_seconds
from .due import audited_by, drawn_by, method_sources, stale_runs, trained_by, write_made_of
from .endings import last_word
from .folders import folder_of, place, study_folder, write_up
from .jobs import allowed_rules
from .narrowing import audited_study, cell_study, sweep_study, trajectory_study
from .patterns import alternatives, settings_pattern
from .present import begun, digests, figure_tables, of_others, requested_tables, there_is, typesettable
from .runs import job_label, job_runs, job_seeds, run_records, trajectories
from .sweeps import job_trial_runs, job_trials, job_trials_label, study_trials, sweep_budgets, sweep_records

__all__ = [
    "allowed_rules",
    "alternatives",
    "audited_by",
    "audited_study",
    "begun",
    "budget_file",
    "budget_labels",
    "cell_study",
    "digests",
    "drawn_by",
    "figure_tables",
    "folder_of",
    "job_label",
    "job_minutes",
    "job_runs",
    "job_seeds",
    "job_trial_runs",
    "job_trials",
    "job_trials_label",
    "jobs_in_a_batch",
    "last_word",
    "method_files",
    "method_sources",
    "of_others",
    "place",
    "prepared_files",
    "requested_tables",
    "run_records",
    "run_seconds",
    "schedule_arguments",
    "schedules",
    "settings_pattern",
    "stale_runs",
    "study_folder",
    "study_trials",
    "sweep_budgets",
    "sweep_records",
    "sweep_study",
    "there_is",
    "trained_by",
    "trajectories",
    "trajectory_study",
    "typesettable",
    "write_made_of",
    "write_source_arguments",
    "write_up",
]
