"""The columns of what was decided for a frame go together."""

import pytest
from makers import changed, make_identifications

from app.messages import Identifications, MessageError, decode


@pytest.mark.parametrize("column", ["people", "names", "similarities"])
def test_columns_have_one_length(column: str) -> None:
    with pytest.raises(MessageError):
        decode(Identifications, changed(make_identifications("ada"), **{column: [None, None]}))
