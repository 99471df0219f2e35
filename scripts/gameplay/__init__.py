"""gameplay: recordings of a person playing to an agent that plays towards a goal."""
