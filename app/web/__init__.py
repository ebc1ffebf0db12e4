"""The web side of a worker: enrolment, history, live pictures, health."""
