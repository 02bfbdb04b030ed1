//! Cross-service tests on real servers: RabbitMQ, Redis, Python's Celery and the Python twins.

mod broker_link;
mod interop;
mod load;
mod matrix;
mod mistakes;
mod mixed;
mod reliability;
mod services;
mod shutdown;
