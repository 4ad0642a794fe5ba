"""The roles: what a pipe, a source, a stage, a junction, a model and a scaffold are. No implementation of a verb."""
