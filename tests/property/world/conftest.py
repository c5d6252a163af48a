from tests.world.fixtures import folder

__all__ = ["folder"]
