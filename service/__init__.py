"""HTTP, command line and pages over the packages of search that it may use."""
