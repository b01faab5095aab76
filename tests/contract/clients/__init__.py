"""Client libraries of the OpenAI API, each in its own process, and the acts that they run."""
