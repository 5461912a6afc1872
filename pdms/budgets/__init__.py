"""Privacy budgets: what each population of consumers has been told, what it cost, and the answers given.

Guarantees: every noised number is charged before it is drawn, in the transaction that OpenDP's filter admits it in; a
question is drawn once and answered alike ever after; of two that ask at once neither overspends. Budgets belong to
populations of roles, so that colluding keys gain nothing, and to periods of the calendar.
Deliberately not here: exact numbers. Who computes them asks here first, and leaves the noised answer.
"""
