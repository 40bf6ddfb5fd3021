"""Models and weights of other libraries, a room each: nothing in here is imported before it is asked for."""
