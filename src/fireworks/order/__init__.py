"""Order is a subject of its own: one definition, computable anywhere, in any memory."""
