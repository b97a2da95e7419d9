"""An agent: claims trials over HTTP and trains each by a command of its operator, in processes that end with it."""
