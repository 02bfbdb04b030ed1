"""The authorization worker: a Celery application with one task."""
