"""What a debit is checked against before the card is told: limits of time and amount, and the card's own record."""
