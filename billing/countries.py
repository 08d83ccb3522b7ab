"""Countries where customers may be: those that Stripe knows, by their two letters in ISO 3166-1."""

from __future__ import annotations

_TABLE = """
AF Afghanistan; AX Åland Islands; AL Albania; DZ Algeria; AD Andorra; AO Angola; AI Anguilla;
AQ Antarctica; AG Antigua and Barbuda; AR Argentina; AM Armenia; AW Aruba; AU Australia; AT Austria;
AZ Azerbaijan; BS Bahamas; BH Bahrain; BD Bangladesh; BB Barbados; BY Belarus; BE Belgium; BZ Belize;
BJ Benin; BM Bermuda; BT Bhutan; BO Bolivia; BA Bosnia and Herzegovina; BW Botswana; BV Bouvet Island;
BR Brazil; IO British Indian Ocean Territory; VG British Virgin Islands; BN Brunei; BG Bulgaria;
BF Burkina Faso; BI Burundi; KH Cambodia; CM Cameroon; CA Canada; CV Cape Verde;
BQ Caribbean Netherlands; KY Cayman Islands; CF Central African Republic; TD Chad; CL Chile; CN China;
CO Colombia; KM Comoros; CG Congo; CD Congo (Kinshasa); CK Cook Islands; CR Costa Rica; HR Croatia;
CW Curaçao; CY Cyprus; CZ Czechia; CI Côte d’Ivoire; DK Denmark; DJ Djibouti; DM Dominica;
DO Dominican Republic; EC Ecuador; EG Egypt; SV El Salvador; GQ Equatorial Guinea; ER Eritrea;
EE Estonia; SZ Eswatini; ET Ethiopia; FK Falkland Islands; FO Faroe Islands; FJ Fiji; FI Finland;
FR France; GF French Guiana; PF French Polynesia; TF French Southern Territories; GA Gabon; GM Gambia;
GE Georgia; DE Germany; GH Ghana; GI Gibraltar; GR Greece; GL Greenland; GD Grenada; GP Guadeloupe;
GU Guam; GT Guatemala; GG Guernsey; GN Guinea; GW Guinea-Bissau; GY Guyana; HT Haiti; HN Honduras;
HK Hong Kong; HU Hungary; IS Iceland; IN India; ID Indonesia; IQ Iraq; IE Ireland; IM Isle of Man;
IL Israel; IT Italy; JM Jamaica; JP Japan; JE Jersey; JO Jordan; KZ Kazakhstan; KE Kenya; KI Kiribati;
XK Kosovo; KW Kuwait; KG Kyrgyzstan; LA Laos; LV Latvia; LB Lebanon; LS Lesotho; LR Liberia; LY Libya;
LI Liechtenstein; LT Lithuania; LU Luxembourg; MO Macao; MG Madagascar; MW Malawi; MY Malaysia;
MV Maldives; ML Mali; MT Malta; MQ Martinique; MR Mauritania; MU Mauritius; YT Mayotte; MX Mexico;
MD Moldova; MC Monaco; MN Mongolia; ME Montenegro; MS Montserrat; MA Morocco; MZ Mozambique; MM Myanmar;
NA Namibia; NR Nauru; NP Nepal; NL Netherlands; NC New Caledonia; NZ New Zealand; NI Nicaragua; NE Niger;
NG Nigeria; NU Niue; MK North Macedonia; NO Norway; OM Oman; PK Pakistan; PS Palestinian Territories;
PA Panama; PG Papua New Guinea; PY Paraguay; PE Peru; PH Philippines; PN Pitcairn Islands; PL Poland;
PT Portugal; PR Puerto Rico; QA Qatar; RO Romania; RU Russia; RW Rwanda; RE Réunion; WS Samoa;
SM San Marino; SA Saudi Arabia; SN Senegal; RS Serbia; SC Seychelles; SL Sierra Leone; SG Singapore;
SX Sint Maarten; SK Slovakia; SI Slovenia; SB Solomon Islands; SO Somalia; ZA South Africa;
GS South Georgia and South Sandwich Islands; KR South Korea; SS South Sudan; ES Spain; LK Sri Lanka;
BL St. Barthélemy; SH St. Helena; KN St. Kitts and Nevis; LC St. Lucia; MF St. Martin;
PM St. Pierre and Miquelon; VC St. Vincent and Grenadines; SD Sudan; SR Suriname;
SJ Svalbard and Jan Mayen; SE Sweden; CH Switzerland; ST São Tomé and Príncipe; TW Taiwan; TJ Tajikistan;
TZ Tanzania; TH Thailand; TL Timor-Leste; TG Togo; TK Tokelau; TO Tonga; TT Trinidad and Tobago;
TN Tunisia; TM Turkmenistan; TC Turks and Caicos Islands; TV Tuvalu; TR Türkiye; UG Uganda; UA Ukraine;
AE United Arab Emirates; GB United Kingdom; US United States; UY Uruguay; UZ Uzbekistan; VU Vanuatu;
VA Vatican City; VE Venezuela; VN Vietnam; WF Wallis and Futuna; EH Western Sahara; YE Yemen; ZM Zambia;
ZW Zimbabwe
"""

NAMES: dict[str, str] = {
    code: name for code, _, name in (each.strip().partition(" ") for each in _TABLE.split(";"))
}


def name_of(code: str) -> str:
    """Return the name of a country; of one that is not known, its letters."""
    return NAMES.get(code, code)
