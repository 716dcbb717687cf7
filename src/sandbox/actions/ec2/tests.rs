//! Claims about EC2, made by sending requests as a client would.
