/** The overlay for OBS: what it shows is what `/v1/drops/{drop}/board` says, and nothing else. */
