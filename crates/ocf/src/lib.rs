//! OCF Resource Agent API 1.1: actions, parameters, meta-data, exit codes, logging.
