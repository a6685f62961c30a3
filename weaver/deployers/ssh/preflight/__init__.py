"""What would fail on hosts, before it does: each is asked once, and what it says is judged here."""
