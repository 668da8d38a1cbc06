#!/usr/bin/env python3
"""Writes spring-mailing.csv: 600 synthetic pieces, the same bytes on every run.

Names and streets are made up from word lists; places are real towns with the first three digits of their ZIP, the rest is drawn.
Postage follows class and weight, in the manner of a US rate table and with half cents where presorted mail has them. It is not a
published rate table.
"""

import csv
import pathlib
import random

FIRST = """Ada Alden Amos Beatrix Bram Cecily Clara Dorian Edith Elias Esme Felix Flora Gideon Greta Hazel Hugo Ida Imogen Ivor
Jasper Juno Kit Leopold Linnea Lucian Mabel Magnus Marigold Maud Nell Odile Orson Otis Pearl Percy Petra Quentin Rosalind Rufus
Sylvie Thaddeus Theodora Tobias Ursula Violet Wendell Willa Winifred Zelda""".split()
LAST = """Abernathy Ashdown Barrowby Birdwhistle Blackthorn Bramblewood Brightwater Cobbleton Copperfield Crabtree Dandridge
Eastlake Fairweather Fennimore Foxglove Gatherwood Greystone Hathersage Hollowell Inkpen Juniper Kettleby Larkspur Lindenwood
Marchbanks Merriweather Nightingale Oakhurst Overbrook Pennyfeather Quillfeather Ravenscroft Rosewarne Saltmarsh Silverthorne
Stonebridge Summerfield Thistlewood Tumbleby Underhill Vanterpool Waverley Whitlock Windermere Wintergreen Yarrow""".split()
STREET = """Alder Aspen Beech Birch Blackberry Bluebell Cedar Cherry Chestnut Clover Cypress Dogwood Elderberry Fern Foxglove
Hawthorn Hazel Heather Hickory Holly Honeysuckle Ivy Jasmine Juniper Larch Lavender Lilac Linden Magnolia Maple Meadow Mulberry
Myrtle Oak Orchard Pine Poplar Primrose Quince Rosemary Sage Sorrel Spruce Sumac Sycamore Thistle Violet Walnut Willow Yew""".split()
KIND = ["St", "Ave", "Ln", "Rd", "Dr", "Ct", "Way", "Pl", "Ter"]
PLACE = [
    ("Portland", "ME", "041"), ("Concord", "NH", "033"), ("Montpelier", "VT", "056"), ("Worcester", "MA", "016"),
    ("Providence", "RI", "029"), ("Hartford", "CT", "061"), ("Holtsville", "NY", "117"), ("Ithaca", "NY", "148"),
    ("Trenton", "NJ", "086"), ("Lancaster", "PA", "176"), ("Dover", "DE", "199"), ("Annapolis", "MD", "214"),
    ("Roanoke", "VA", "240"), ("Asheville", "NC", "288"), ("Columbia", "SC", "292"), ("Savannah", "GA", "314"),
    ("Gainesville", "FL", "326"), ("Mobile", "AL", "366"), ("Oxford", "MS", "386"), ("Knoxville", "TN", "379"),
    ("Louisville", "KY", "402"), ("Dayton", "OH", "454"), ("Bloomington", "IN", "474"), ("Lansing", "MI", "489"),
    ("Dubuque", "IA", "520"), ("Madison", "WI", "537"), ("Duluth", "MN", "558"), ("Fargo", "ND", "581"),
    ("Rapid City", "SD", "577"), ("Missoula", "MT", "598"), ("Peoria", "IL", "616"), ("Columbia", "MO", "652"),
    ("Lawrence", "KS", "660"), ("Lincoln", "NE", "685"), ("Baton Rouge", "LA", "708"), ("Little Rock", "AR", "722"),
    ("Tulsa", "OK", "741"), ("Austin", "TX", "787"), ("Boulder", "CO", "803"), ("Laramie", "WY", "820"),
    ("Boise", "ID", "837"), ("Provo", "UT", "846"), ("Flagstaff", "AZ", "860"), ("Santa Fe", "NM", "875"),
    ("Reno", "NV", "895"), ("Fresno", "CA", "937"), ("Palo Alto", "CA", "943"), ("Eugene", "OR", "974"),
    ("Olympia", "WA", "985"), ("Juneau", "AK", "998"),
]
OUNCE_G = 28.35

# class: (mills up to the first step, grams of the first step, mills for each further ounce, lightest, heaviest)
CLASS = {
    "FCL": (780, 28, 290, 8, 99),     # first-class letter, stamped price
    "FCM": (740, 28, 290, 8, 99),     # first-class letter, metered
    "FCP": (593, 99, 0, 8, 99),       # first-class letter, presorted
    "FCF": (1630, 28, 270, 30, 368),  # first-class large envelope
    "MKTL": (372, 99, 0, 8, 99),      # marketing letter, automation
    "MKTF": (824, 113, 0, 30, 113),   # marketing flat
    "NPL": (214, 99, 0, 8, 99),       # nonprofit letter
    "PRES": (545, 28, 245, 10, 99),   # presorted, half cents
    "LIB": (4365, 400, 0, 180, 400),  # library mail
}
WEIGHTS = [26, 16, 12, 12, 12, 6, 5, 7, 4]


def postage(rate, weight):
    first, step, more, _, _ = CLASS[rate]
    ounces = 0 if weight <= step else -int(-(weight - step) // OUNCE_G)
    mills = first + ounces * more
    return f"{mills // 1000}.{mills % 1000:03d}" if mills % 10 else f"{mills // 1000}.{mills % 1000 // 10:02d}"


def main():
    draw = random.Random(20261120)
    path = pathlib.Path(__file__).with_name("spring-mailing.csv")
    with path.open("w", newline="", encoding="utf-8") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(["address", "zip4", "weight_g", "class", "postage", "reference"])
        for number in range(1, 601):
            city, state, prefix = draw.choice(PLACE)
            unit = draw.choice(["", "", "", "", f" Apt {draw.randint(1, 48)}", f" Unit {draw.choice('ABCDEF')}"])
            street = f"{draw.randint(1, 2999)} {draw.choice(STREET)} {draw.choice(KIND)}{unit}"
            address = f"{draw.choice(FIRST)} {draw.choice(LAST)}, {street}, {city} {state}"
            zip4 = f"{prefix}{draw.randint(1, 99):02d}-{draw.randint(1, 9999):04d}"
            rate = draw.choices(list(CLASS), WEIGHTS)[0]
            weight = draw.randint(*CLASS[rate][3:])
            out.writerow([address, zip4, weight, rate, postage(rate, weight), f"SPRING-{number:04d}"])


if __name__ == "__main__":
    main()
