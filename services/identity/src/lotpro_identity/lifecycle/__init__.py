"""How accounts end: closed by their owner, removed by an administrator, anonymised when nobody uses them."""
