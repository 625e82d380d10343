"""What can be wrong with a vehicle."""

from lotpro_kit import errors


class VinMalformed(errors.Invalid):
    """Not 17 letters and digits, or with I, O or Q, which are in no VIN."""

    code = "inventory.vin_malformed"
    message = "A VIN has 17 letters and digits, without I, O and Q."


class VinCheckDigit(errors.Invalid):
    """The ninth character is not the check digit: mistyped, or a car not made for North America."""

    code = "inventory.vin_check_digit"
    message = "The VIN's check digit is wrong. If the car really carries this VIN, say why in override_reason."


class VinUnknown(errors.Invalid):
    """The check digit is right, but no maker ever assigned such a VIN."""

    code = "inventory.vin_unknown"
    message = "No maker is known for this VIN. If the car really carries it, say why in override_reason."


class VinInStock(errors.Conflict):
    """The store has a vehicle with this VIN that is not sold."""

    code = "inventory.vin_in_stock"
    message = "A vehicle with this VIN is in this store's stock already."


class StockNumberTaken(errors.Conflict):
    """Another vehicle of the store has or had this stock number."""

    code = "inventory.stock_number_taken"
    message = "Another vehicle of this store has this stock number."


class VehicleAlreadySold(errors.Conflict):
    """Somebody was faster."""

    code = "inventory.vehicle_already_sold"
    message = "This vehicle has been sold."


class TransitionRefused(errors.Conflict):
    """The table of states has no such way."""

    code = "inventory.vehicle_transition_refused"
    message = "A vehicle in this state cannot do this."
