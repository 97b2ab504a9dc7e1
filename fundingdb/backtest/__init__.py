"""A delta-neutral two-leg funding strategy over a lake: signals from known rates, money from settlements."""
