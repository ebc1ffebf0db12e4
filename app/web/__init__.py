"""The web side of a worker: enrolment, history and events, live pictures, health; who may ask; the page."""
